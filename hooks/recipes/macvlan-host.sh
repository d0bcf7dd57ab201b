#!/bin/sh
# A route from the host to a container on a macvlan network, through the link $SHIM on $PARENT.
set -eu

address=${CONTAINER_IP:-}
if [ -z "$address" ]; then
    echo "no address, no route"
    exit 0
fi

case $1 in
add)
    ip link show dev "$SHIM" >/dev/null 2>&1 ||
        ip link add "$SHIM" link "$PARENT" type macvlan mode bridge 2>/dev/null ||
        # Another container was faster.
        ip link show dev "$SHIM" >/dev/null
    ip link set "$SHIM" up
    # The host is known in that network by the address that it has on the parent.
    source=$(ip -4 -json address show dev "$PARENT" | jq -r '.[0].addr_info[0].local // ""')
    ip route replace "$address/32" dev "$SHIM" ${source:+src "$source"}
    echo "$address through $SHIM"
    ;;
remove)
    # The route may be gone with the link.
    ip route delete "$address/32" dev "$SHIM" 2>/dev/null || true
    echo "no route to $address any more"
    ;;
esac
