#!/bin/sh
# Denies images of which nobody can say which version they are.
#
# Exit 0: allowed. Anything else: denied, and the last line on standard error is what the docker user
# reads. A JSON object on standard output, {"message": "…"}, would do as well.
set -eu

# What a client asks for is anybody's text. In quotes it stays text, whatever is in it.
image=${CONTAINER_IMAGE:-}

# Without the registry, whose port looks like a tag: host:5000/team/app:1.2
case ${image##*/} in
*@sha256:*) exit 0 ;;
*:latest) ;;
*:?*) exit 0 ;;
esac

echo "image \"$image\" has no version: write one, say \"${image%:latest}:1.2\"" >&2
exit 1
