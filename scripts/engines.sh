#!/bin/sh
# Gets the engines that the tests run on, one of each generation, and prints for each a line
# `GENERATION VERSION FOLDER`: `dockerd` and all it needs lie in FOLDER, which goes first on PATH. Fetches
# only what is missing. Debian and its relatives; root is not needed.
#
#     scripts/engines.sh [--once] [GENERATION...]
#
# --once: where fetching failed within the last five minutes, it is not tried again, for callers of which
# there are many.
#
# The engine of the system serves where it is of a wanted generation. The others are packages of Debian's
# suites, unpacked and not installed. They run with the libc of Debian 12 (2.36) and newer: their programs
# ask for 2.34. So does containerd, and each engine has its own beside it, as dockerd starts the first on PATH.
# runc is the system's: that of the newer suites asks for a newer libc, and every engine takes an older one.
# So is `docker-init`.
#
# They are kept outside of the repository, in `boathook-test` of the user's cache folder or in
# $BOATHOOK_TEST_CACHE. A suite that has moved on since is asked again when the folder is removed.
set -eu

engines=${BOATHOOK_TEST_CACHE:-${XDG_CACHE_HOME:-${HOME:-/root}/.cache}/boathook-test}/engines
keyring=/usr/share/keyrings/debian-archive-keyring.gpg
programs="dockerd docker-proxy docker containerd containerd-shim-runc-v2"

PATH=$PATH:/usr/sbin:/sbin

say() {
    echo "engines: $*" >&2
}

# The suite whose engine is, or was when this was written, of a generation.
suite_of() {
    case $1 in
    20.10) echo bookworm ;;
    26.1) echo trixie ;;
    28.5) echo sid ;;
    *) return 1 ;;
    esac
}

version_of() {
    "$1" --version | sed -n 's/^Docker version \([^ ,]*\).*/\1/p'
}

# Where the machine itself gets Debian from: the first mirror of the main archive, whatever form the line
# has in the sources. Package lists need not have been fetched.
mirror() {
    apt-get indextargets --no-release-info --format '$(COMPONENT) $(REPO_URI)' 'Created-By: Packages' |
        sed -nE 's|^main ([^ ]*)/$|\1|; \,/debian$|/debian/[0-9]+T[0-9]+Z$|/debian\.list$,{p;q}'
}

# Fetches the packages of a suite, with sources, lists and cache in the current folder.
fetch() {
    mkdir -p lists/partial cache/archives/partial packages
    signed=
    [ ! -e "$keyring" ] || signed=" signed-by=$keyring"
    echo "deb [target=Packages$signed] $2 $1 main" >sources.list
    : >status
    cat >apt.conf <<END
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
APT::Sandbox::User "";
APT::Update::Error-Mode "any";
Acquire::Check-Valid-Until "false"; # A mirror may be a snapshot.
Acquire::Languages "none";
Acquire::Retries "2";
Acquire::http::Timeout "20";
Acquire::https::Timeout "20";
Dir::Cache "$PWD/cache";
Dir::Etc::SourceList "$PWD/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
Dir::State::lists "$PWD/lists";
Dir::State::status "$PWD/status";
END
    apt-get -c apt.conf update || return
    cd packages || return
    set -- docker.io containerd
    # Up to Debian 12 the client comes with the engine.
    ! apt-cache -c ../apt.conf show docker-cli >/dev/null 2>&1 || set -- "$@" docker-cli
    apt-get -c ../apt.conf download "$@"
}

# Leaves of the packages in the current folder the programs, in `bin`.
unpack() {
    for package in packages/*.deb; do
        dpkg -x "$package" root || return
    done
    mkdir bin
    for program in $programs; do
        mv root/usr/*bin/"$program" bin/ || return
    done
    for program in dockerd docker containerd; do
        "bin/$program" --version || return
    done
}

# Prints why there is no engine, which is remembered for a while, and is as a status false.
give_up() {
    say "$1 cannot be had: $2"
    printf '%s\n' "$2" >"$engines/failed-$1"
    return 1
}

# Fetches the engine of a generation into a folder of its own. All of it is there, or nothing.
get() {
    suite=$(suite_of "$1")
    for tool in apt-get dpkg flock; do
        command -v "$tool" >/dev/null || { give_up "$1" "there is no $tool: this is not Debian"; return; }
    done
    mirror=$(mirror)
    [ -n "$mirror" ] || { give_up "$1" "no mirror of Debian is among the sources of apt"; return; }
    part=$(mktemp -d "$engines/part-XXXXXX") || return
    say "fetch $1 from Debian's $suite"
    (cd "$part" && fetch "$suite" "$mirror") >"$part/log" 2>&1 ||
        { cat "$part/log" >&2; give_up "$1" "its packages cannot be fetched"; return; }
    say "unpack $1"
    (cd "$part" && unpack) >"$part/log" 2>&1 ||
        { cat "$part/log" >&2; give_up "$1" "its programs do not run here"; return; }
    mv "$part/bin" "$engines/$suite-$(version_of "$part/bin/dockerd")" || return
    rm -rf "$part" "$engines/failed-$1"
}

# The folder of an engine that has been fetched.
fetched() {
    newest=
    for folder in "$engines/$(suite_of "$1")"-*; do
        [ ! -d "$folder" ] || newest=$folder
    done
    [ -n "$newest" ] && echo "$newest"
}

installed() {
    command -v dockerd >/dev/null && case $(version_of dockerd) in "$1".*) ;; *) false ;; esac
}

failed_lately() {
    [ -n "$once" ] && [ -n "$(find "$engines" -maxdepth 1 -name "failed-$1" -mmin -5)" ]
}

# The line of a generation.
provide() {
    if installed "$1"; then
        echo "$1 $(version_of dockerd) $(dirname "$(command -v dockerd)")"
        return
    fi
    if ! folder=$(fetched "$1"); then
        # Others may be at it, and then it is there when they are done.
        exec 9>"$engines/lock"
        flock 9
        if ! folder=$(fetched "$1"); then
            ! failed_lately "$1" || { say "$1 cannot be had: $(cat "$engines/failed-$1")"; return 1; }
            # Of those who were killed at it.
            rm -rf "$engines"/part-*
            get "$1" || return
            folder=$(fetched "$1")
        fi
        exec 9>&-
    fi
    name=${folder##*/}
    echo "$1 ${name#*-} $folder"
}

once=
[ "${1-}" != --once ] || { once=yes; shift; }
[ $# -gt 0 ] || set -- 20.10 26.1 28.5
for generation; do
    suite_of "$generation" >/dev/null || { say "no generation is called $generation"; exit 2; }
done

part=
trap '[ -z "$part" ] || rm -rf "$part"' EXIT
trap 'exit 130' INT
trap 'exit 143' TERM
mkdir -p "$engines"

status=0
for generation; do
    provide "$generation" || status=1
done
exit "$status"
