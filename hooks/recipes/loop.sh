#!/bin/sh
# A volume driver in a script: files with an ext4 file system, mounted while somebody uses them.
#
# A call may come twice: a volume that is there is made, one that is mounted is mounted.
set -eu

request=$(cat)

field() {
    printf %s "$request" | jq -r "$1 // \"\""
}

# The volume's own directory, which has another name while the volume is made: no path below it is kept.
file=$(field .Directory)/volume.ext4
mountpoint=$(field .Mountpoint)

case $DRIVER_METHOD in
VolumeDriver.Create)
    size=$(field .Opts.size)
    if [ -z "$size" ]; then
        echo "say how large it is to be: -o size=64M" >&2
        exit 1
    fi
    if [ ! -e "$file" ]; then
        # Under another name until it is whole.
        rm -f "$file.new"
        truncate -s "$size" "$file.new"
        mkfs.ext4 -q -F "$file.new" >&2
        mv "$file.new" "$file"
    fi
    ;;
VolumeDriver.Mount)
    # The loop device goes with the mount.
    mountpoint -q "$mountpoint" || mount -o loop "$file" "$mountpoint"
    ;;
VolumeDriver.Unmount)
    ! mountpoint -q "$mountpoint" || umount "$mountpoint"
    ;;
esac
# What is not here needs nothing: the directory is deleted with the volume.
