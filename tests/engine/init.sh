# Furnishes the namespaces of one sandbox and becomes their init. $1: the sandbox's folder.
set -e
dir=$1

# Our process id as the outside counts it: the proc file system mounted here is still the outside's.
read -r pid _ < /proc/self/stat
mount -t proc proc /proc

# Plugin sockets, shim sockets, lock files: everything that engines put below /run on their own.
mkdir "$dir/run" "$dir/etc-docker" "$dir/cgroup"
mount --bind "$dir/run" /run
mkdir -p /etc/docker
mount --bind "$dir/etc-docker" /etc/docker

# Shows the interfaces of this network namespace. It also hides securityfs, so that an engine does not
# load its AppArmor profile into the kernel of the machine, where it would stay.
mount --rbind /sys/fs/cgroup "$dir/cgroup"
mount -t sysfs sysfs /sys
mount --move "$dir/cgroup" /sys/fs/cgroup

ip link set lo up

# tini reaps what loses its parent, as init does on a host. It ends with its child, at the end of stdin.
exec tini -- sh -c 'echo "$1 $2"; exec cat > /dev/null' holder "$dir" "$pid"
