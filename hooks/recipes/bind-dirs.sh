#!/bin/sh
# Makes the directories below $ROOT that the request binds. One that is there stays as it is.
set -eu

# `-v HOST:PATH` is one text, `--mount type=bind` a table.
jq -r '.request.body.HostConfig
    | ((.Binds // [])[] | split(":")[0]), ((.Mounts // [])[] | select(.Type == "bind") | .Source)' |
    while read -r path; do
        case $path in
        */../* | */..) continue ;;
        "$ROOT"/*) ;;
        *) continue ;;
        esac
        # Nobody is led elsewhere by a link.
        if [ -e "$path" ] || [ "$(realpath -m "$path")" != "$path" ]; then
            continue
        fi
        install -d -o "${OWNER%%:*}" -g "${OWNER##*:}" -m "$MODE" "$path"
        echo "made $path"
    done
