#!/bin/sh
# Tells somebody that a container has failed: puts a mail into the directory $OUTBOX.
#
# Exit 75 means "not now, try me again later". How often and how soon is the hook's `retry`.
set -eu

mkdir -p "$OUTBOX"

# This file plays a mail server that does not answer.
if [ -e "$OUTBOX/down" ]; then
    echo "the mail server is down" >&2
    exit 75
fi

# A run keeps its id over all its attempts. Used as a name it makes two mails of one run impossible.
mail=$OUTBOX/$HOOK_RUN_ID

{
    echo "Subject: ${CONTAINER_NAME:-a container} failed on $HOOK_HOST"
    echo
    echo "It ran ${CONTAINER_IMAGE:-?} and ended with exit code ${CONTAINER_EXIT_CODE:-?}."
    echo "Below is all that is known of it."
    echo
    # One JSON document, which is on standard input as well: labels, mounts, networks and more than
    # the environment holds.
    cat "$HOOK_EVENT_FILE"
} >"$mail.new"
mv "$mail.new" "$mail"

echo "mail sent at attempt $HOOK_ATTEMPT"
