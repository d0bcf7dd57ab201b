#!/bin/sh
# Guards a container's address: `open` lets $TCP_PORTS through and nothing else, `close` takes the guard away.
#
# Both may run twice. An address is given to somebody else some day, so each container has a chain of its
# own, and `close` lets go of those addresses only that lead there.
set -eu

chain=c_$(printf %.12s "$CONTAINER_ID")
address=${CONTAINER_IP:-}

# The addresses that lead into the chain, one a line.
guarded() {
    nft list map inet guard guarded 2>/dev/null | tr ',' '\n' |
        sed -n "s/^.*[^0-9.]\([0-9.]*\) : jump $chain\( .*\)\{0,1\}\$/\1/p"
}

case $1 in
open)
    if [ -z "$address" ]; then
        echo "no address, nothing to guard"
        exit 0
    fi
    # Somebody who had the address before, and whose guard has not been taken away yet.
    guarded | grep -qxF "$address" || nft delete element inet guard guarded "{ $address }" 2>/dev/null || true
    # One transaction: at no time is the address open to all.
    nft -f - <<RULES
add table inet guard
add map inet guard guarded { type ipv4_addr : verdict; }
add chain inet guard forward { type filter hook forward priority -5; policy accept; }
flush chain inet guard forward
add rule inet guard forward ip daddr vmap @guarded
add chain inet guard $chain
flush chain inet guard $chain
add rule inet guard $chain ct state established,related accept
add rule inet guard $chain tcp dport { $TCP_PORTS } accept
add rule inet guard $chain drop
add element inet guard guarded { $address : jump $chain }
RULES
    echo "$address answers on $TCP_PORTS only"
    ;;
close)
    for old in $(guarded); do
        nft delete element inet guard guarded "{ $old }"
    done
    if nft list chain inet guard "$chain" >/dev/null 2>&1; then
        nft -f - <<RULES
flush chain inet guard $chain
delete chain inet guard $chain
RULES
    fi
    echo "${address:-no address} is not guarded any more"
    ;;
esac
