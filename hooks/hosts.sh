#!/bin/sh
# Keeps the file $HOSTS_FILE: a line `ADDRESS NAME # ID` for each container.
#
#     hosts.sh add       at post_start
#     hosts.sh remove    at post_remove
#
# A hook may run twice for one event, say after a crash. So `add` first takes away what it is about
# to add, and `remove` is content when there is nothing to remove.
set -eu

id=$(printf %.12s "$CONTAINER_ID") # as docker shows it
name=${CONTAINER_NAME:-$id}
address=${CONTAINER_IP:-} # none with `--network none` or `host`

mkdir -p "$(dirname "$HOSTS_FILE")"

# Hooks of one container run one after the other, those of different containers side by side.
exec 9>"$HOSTS_FILE.lock"
flock 9

touch "$HOSTS_FILE"
sed "/ # $id\$/d" "$HOSTS_FILE" >"$HOSTS_FILE.new"

case $1 in
add)
    [ -z "$address" ] || echo "$address $name # $id" >>"$HOSTS_FILE.new"
    echo "+ ${address:-no address,} $name"
    ;;
remove)
    # Docker has forgotten this container: name and address are the ones that it had last.
    echo "- ${address:-no address,} $name"
    ;;
esac

# Whoever reads the file sees it as it was or as it is, never half of it.
mv "$HOSTS_FILE.new" "$HOSTS_FILE"
