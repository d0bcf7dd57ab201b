#!/bin/sh
# A network driver in a script: containers as ports of the Open vSwitch bridge $OVS_BRIDGE.
#
# What a network was made with is told once, and is kept in $NETWORKS_DIR. A call may come twice.
set -eu

request=$(cat)

field() {
    printf %s "$request" | jq -r "$1 // \"\""
}

network=$(field .NetworkID)
end=$(field .EndpointID | cut -c1-10)

case $DRIVER_METHOD in
NetworkDriver.CreateNetwork)
    vlan=$(field '.Options["com.docker.network.generic"].vlan')
    case $vlan in
    '' | [1-9] | [1-9][0-9] | [1-9][0-9][0-9] | [1-3][0-9][0-9][0-9] | 40[0-8][0-9] | 409[0-4]) ;;
    *)
        echo "vlan has to be a number from 1 to 4094, not '$vlan'" >&2
        exit 1
        ;;
    esac
    mkdir -p "$NETWORKS_DIR"
    echo "$vlan" >"$NETWORKS_DIR/$network"
    echo '{}'
    ;;
NetworkDriver.DeleteNetwork)
    rm -f "$NETWORKS_DIR/$network"
    echo '{}'
    ;;
NetworkDriver.CreateEndpoint)
    vlan=$(cat "$NETWORKS_DIR/$network")
    ip link show dev "ov-$end" >/dev/null 2>&1 || ip link add "ov-$end" type veth peer name "oc-$end"
    ip link set "ov-$end" up
    ovs-vsctl --timeout=5 --may-exist add-port "$OVS_BRIDGE" "ov-$end" ${vlan:+"tag=$vlan"}
    echo '{}'
    ;;
NetworkDriver.Join)
    # The way out of it is the switch's to say, not the host's.
    jq -n --arg link "oc-$end" \
        '{InterfaceName: {SrcName: $link, DstPrefix: "eth"}, DisableGatewayService: true}'
    ;;
NetworkDriver.DeleteEndpoint)
    ovs-vsctl --timeout=5 --if-exists del-port "$OVS_BRIDGE" "ov-$end"
    ip link delete "ov-$end" 2>/dev/null || true
    echo '{}'
    ;;
*)
    echo '{}'
    ;;
esac
