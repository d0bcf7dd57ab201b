# Makes one sandbox, waits for its end, and leaves nothing of it behind.
#
# It runs outside the sandbox and outlives the process that asked for it: that process holds the
# other end of our stdin, so when it dies, however it dies, the sandbox's init reads the end of the
# file and exits, the kernel kills everything in the process namespace, and we get here.
#
# $1: where to make the sandbox's folder. $2: the text of `init.sh`.

# A Ctrl-C is for the tests, and nobody may be left to read what we complain about.
trap '' HUP INT TERM PIPE

dir=$(mktemp -d "$1/bh-XXXXXX") || exit 1

chmod 755 "$dir" # Hooks that run as another user reach their scripts.

unshare --mount --net --pid --fork --kill-child --propagation private sh -c "$2" init "$dir"

# The kernel keeps control groups when their processes are gone; it needs a moment to let go of them.
for group in /sys/fs/cgroup/"${dir##*/}" /sys/fs/cgroup/*/"${dir##*/}"; do
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        [ -d "$group" ] || break
        find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null
        [ -d "$group" ] && sleep 0.1
    done
done

rm -rf --one-file-system "$dir"
