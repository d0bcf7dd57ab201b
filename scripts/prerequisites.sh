#!/bin/sh
# Installs what building boathook and running throw-away engines takes, and says what. Debian and its
# relatives, as root. Does nothing, and says nothing, when all is there.
set -eu

fail() {
    echo "prerequisites: $*" >&2
    exit 1
}

PATH=$PATH:/usr/sbin:/sbin

has() {
    command -v "$1" >/dev/null 2>&1
}

# Where a program is there already, whoever brought it along may keep it.
missing=
has dockerd || missing="$missing docker.io"
has docker || missing="$missing docker-cli"
has iptables || missing="$missing iptables"
{ has ip && has tc; } || missing="$missing iproute2"
has tini || missing="$missing tini"
has sqlite3 || missing="$missing sqlite3"
# What the recipes in hooks/recipes want. Open vSwitch is tested where it is.
has jq || missing="$missing jq"
has nft || missing="$missing nftables"
has mkfs.ext4 || missing="$missing e2fsprogs"
has modprobe || missing="$missing kmod"
{ has mount && has losetup; } || missing="$missing mount"
has gcc || missing="$missing gcc"
has make || missing="$missing make"
# A kernel with project quotas that boots as a program, for volumes with a size. There is none for other machines.
if [ "$(uname -m)" = x86_64 ]; then
    has linux.uml || missing="$missing user-mode-linux"
    has mkfs.xfs || missing="$missing xfsprogs"
    has perl || missing="$missing perl-base"
fi
[ -e /usr/include/stdlib.h ] || missing="$missing libc6-dev"
# An image is made of it alone: one that needs libraries will not do.
{ has busybox && ! ldd "$(command -v busybox)" >/dev/null 2>&1; } || missing="$missing busybox-static"

install() {
    [ "$(id -u)" -eq 0 ] || fail "missing:$missing. Run as root, or install them yourself."
    has apt-get ||
        fail "missing:$missing. This is not Debian: install what corresponds to these packages."

    log=$(mktemp)
    remove=$log
    trap 'rm -f $remove' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM

    # Packages start their daemons. Engines here are throw-away ones: none is started for the system.
    policy=/usr/sbin/policy-rc.d
    if [ ! -e "$policy" ]; then
        remove="$remove $policy"
        printf '#!/bin/sh\nexit 101\n' >"$policy"
        chmod 755 "$policy"
    fi

    export DEBIAN_FRONTEND=noninteractive
    apt-get update >"$log" 2>&1 || { cat "$log" >&2; fail "the package lists cannot be fetched"; }
    for package in $missing; do
        # Up to Debian 12 the client comes with the engine.
        [ "$package" != docker-cli ] || ! has docker || continue
        echo "prerequisites: install $package"
        apt-get install --yes --no-install-recommends "$package" >"$log" 2>&1 ||
            { cat "$log" >&2; fail "$package cannot be installed"; }
    done
}

[ -z "$missing" ] || install

has cargo || [ -x "${CARGO_HOME:-${HOME:-/root}/.cargo}/bin/cargo" ] ||
    fail "cargo is missing: install Rust 1.89 or newer with rustup, then open a new shell."
