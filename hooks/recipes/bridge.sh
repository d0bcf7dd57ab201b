#!/bin/sh
# A network driver in a script. The request is on standard input, $DRIVER_METHOD says what is asked.
#
# A call may come twice, and after a crash: whatever is there already is as good as made.
set -eu

request=$(cat)

# A field of the request; empty if it is not there.
field() {
    printf %s "$request" | jq -r "$1 // \"\""
}

# The names of links have 15 characters at most.
bridge=sb-$(field .NetworkID | cut -c1-10)
end=$(field .EndpointID | cut -c1-10)

# Where the kernel shows packets between two ports of a bridge to iptables, Docker's policy is to drop them.
between="FORWARD -i $bridge -o $bridge -j ACCEPT"

exists() {
    ip link show dev "$1" >/dev/null 2>&1
}

case $DRIVER_METHOD in
NetworkDriver.CreateNetwork)
    exists "$bridge" || ip link add "$bridge" type bridge
    printf %s "$request" | jq -r '(.IPv4Data + .IPv6Data)[]? | .Gateway // empty' | while read -r gateway; do
        ip address replace "$gateway" dev "$bridge"
    done
    ip link set "$bridge" up
    # Words of a rule: unquoted, here and below.
    iptables -w -C $between 2>/dev/null || iptables -w -I $between
    echo '{}'
    ;;
NetworkDriver.DeleteNetwork)
    iptables -w -D $between 2>/dev/null || true
    ! exists "$bridge" || ip link delete "$bridge"
    echo '{}'
    ;;
NetworkDriver.CreateEndpoint)
    exists "sv-$end" || ip link add "sv-$end" type veth peer name "sc-$end"
    ip link set "sv-$end" master "$bridge" up
    echo '{}'
    ;;
NetworkDriver.Join)
    # The engine moves the other end into the container, and gives it its address. Addresses of the gateway
    # are those of the bridge.
    gateway=$(ip -4 -json address show dev "$bridge" | jq -r '.[0].addr_info[0].local // ""')
    jq -n --arg link "sc-$end" --arg gateway "$gateway" \
        '{InterfaceName: {SrcName: $link, DstPrefix: "eth"}, Gateway: $gateway}'
    ;;
NetworkDriver.DeleteEndpoint)
    ! exists "sv-$end" || ip link delete "sv-$end"
    echo '{}'
    ;;
*)
    # Nothing to do, nothing to tell.
    echo '{}'
    ;;
esac
