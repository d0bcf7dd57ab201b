#!/bin/sh
# Says what is known at each point.
#
# A hook finds everything in its environment. What is not known is not set, so ${NAME:-} is how to
# ask under `set -u`. What it prints is kept with the run and stands in boathook's log.
set -eu

case $HOOK_POINT in
pre_create) echo "wanted: ${CONTAINER_IMAGE:-?}" ;;
post_create) echo "id $(printf %.12s "$CONTAINER_ID")" ;;
pre_start) echo "on network ${CONTAINER_NETWORKS:-none}" ;;
post_start) echo "pid ${CONTAINER_PID:-?}, ${CONTAINER_IP:-no address}" ;;
pre_stop) echo "still ${CONTAINER_IP:-without an address}" ;;
post_stop) echo "exit code ${CONTAINER_EXIT_CODE:-?}, reason ${HOOK_REASON:-?}" ;;
pre_remove) echo "last ${CONTAINER_IP:-without an address}" ;;
post_remove) echo "${CONTAINER_NAME:-a container} is no more" ;;
esac
