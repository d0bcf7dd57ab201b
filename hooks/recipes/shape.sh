#!/bin/sh
# Lets no more than $RATE through the host's end of a container's link, towards the container.
set -eu

if [ -z "${CONTAINER_VETH:-}" ]; then
    echo "the link of ${CONTAINER_NAME:-the container} on the host is not known" >&2
    exit 1
fi
# `replace` is as good the second time as the first.
tc qdisc replace dev "$CONTAINER_VETH" root tbf rate "$RATE" burst 32kb latency 400ms
echo "$CONTAINER_VETH: $RATE"
