#!/bin/sh
# Keeps $HOSTS_DIR: a file for each container, with a line `ADDRESS NAME` for $CONTAINER_IP and $CONTAINER_IP6.
set -eu

file=$HOSTS_DIR/$CONTAINER_ID

case $1 in
add)
    mkdir -p "$HOSTS_DIR"
    # A name may hold what is no part of a host's name.
    name=$(printf %s "${CONTAINER_NAME:-}" | tr -c 'A-Za-z0-9.-' -)
    for address in ${CONTAINER_IP:-} ${CONTAINER_IP6:-}; do
        [ -z "$name" ] || echo "$address $name"
    done >"$HOSTS_DIR/.$CONTAINER_ID"
    # Whoever reads it sees it whole. dnsmasq passes over names that begin with a dot.
    mv "$HOSTS_DIR/.$CONTAINER_ID" "$file"
    cat "$file"
    ;;
remove)
    rm -f "$file" "$HOSTS_DIR/.$CONTAINER_ID"
    if [ -s "${DNSMASQ_PID_FILE:-/nonexistent}" ]; then
        kill -HUP "$(cat "$DNSMASQ_PID_FILE")" || true
    fi
    ;;
esac
