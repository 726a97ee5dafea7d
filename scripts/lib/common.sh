# shellcheck shell=bash
# Where things are, how the scripts speak, and how they read their settings.
# Every script sources this file first; it sources the others.

set -euo pipefail
# With it, cd would say where it has gone.
unset CDPATH

COMMAND=$(basename "$0")
ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/../.." && pwd)
cd "$ROOT"

# Everything the scripts make for themselves lies in here and is ignored by git.
DEV=$ROOT/.dev
RUN=$DEV/run
LOG=$DEV/log
TOOLS=$DEV/tools
mkdir -p "$RUN" "$LOG" "$TOOLS"

# Names the data, the pid files and the logs of one run, so that `make test` and `make up`
# do not meet.
STAND=${STAND:-$COMMAND}

WASM_TARGET=wasm32-wasip2
# Where spin.toml looks for the component, whatever cargo's configuration says.
export CARGO_TARGET_DIR=$ROOT/target

say() { printf '%s\n' "$*"; }

# Ends the script with one line. A full disk is the usual cause that nobody thinks of.
die() {
    local free_mb
    free_mb=$(disk_free_mb "$DEV")
    if ((free_mb < 32)); then
        printf 'make %s: the disk is full: %s MB free on the one that holds %s (%s)\n' \
            "$COMMAND" "$free_mb" "$ROOT" "$*" >&2
    else
        printf 'make %s: %s\n' "$COMMAND" "$*" >&2
    fi
    exit 1
}

disk_free_mb() { df -Pm "$1" | awk 'NR == 2 { print $4 }'; }

# disk_require MB: says so before anything is started, because a full disk in the middle
# of a build or of a database's start has many faces.
disk_require() {
    local free_mb
    free_mb=$(disk_free_mb "$DEV")
    ((free_mb >= $1)) ||
        die "too little room on the disk: $free_mb MB free where $ROOT lies, $1 MB needed"
}

has() { command -v "$1" >/dev/null 2>&1; }

is_root() { ((EUID == 0)); }

# Sets what .env (or ENV_FILE) sets, unless the environment has it already. The file is read, not run:
# a value may hold any character, in quotes or without.
env_load() {
    local file=${ENV_FILE:-.env} line name value
    [[ -f $file ]] || return 0
    while IFS= read -r line || [[ -n $line ]]; do
        line=${line%$'\r'}
        [[ $line =~ ^[[:space:]]*(export[[:space:]]+)?([A-Za-z_][A-Za-z0-9_]*)=(.*)$ ]] || continue
        name=${BASH_REMATCH[2]}
        value=${BASH_REMATCH[3]}
        if [[ $value =~ ^\"([^\"]*)\" || $value =~ ^\'([^\']*)\' ]]; then
            value=${BASH_REMATCH[1]}
        else
            value=${value%%[[:space:]]#*}
            value=${value%"${value##*[![:space:]]}"}
        fi
        [[ -v $name ]] || export "$name=$value"
    done <"$file"
}

# url_address URL DEFAULT_PORT: the host:port of a URL.
url_address() {
    local rest=${1#*://}
    rest=${rest%%[/?]*}
    rest=${rest##*@}
    if [[ $rest =~ :[0-9]+$ ]]; then
        printf '%s' "$rest"
    else
        printf '%s:%s' "$rest" "$2"
    fi
}

# A password never appears in what a script prints.
url_without_password() { sed -E 's#(://[^:/@]*):.*@#\1:***@#' <<<"$1"; }

# port_taken PORT: does somebody listen there?
port_taken() { (exec 3<>"/dev/tcp/127.0.0.1/$1") 2>/dev/null; }

# port_free FIRST: the first free port from there on.
port_free() {
    local port
    for ((port = $1; port < $1 + 50; port++)); do
        port_taken "$port" || { printf '%s' "$port"; return; }
    done
    return 1
}

# http_ok ADDRESS PATH: does GET answer 200? Needs no curl.
http_ok() (
    exec 3<>"/dev/tcp/${1%:*}/${1##*:}" || exit 1
    printf 'GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' "$2" "$1" >&3
    IFS= read -r -t 3 status <&3 || exit 1
    # Read to the end, so that the server sees no broken connection.
    timeout 3 cat <&3 >/dev/null
    [[ $status == *" 200"* ]]
) 2>/dev/null

# shellcheck source=scripts/lib/processes.sh
source "$ROOT/scripts/lib/processes.sh"
# shellcheck source=scripts/lib/tools.sh
source "$ROOT/scripts/lib/tools.sh"
# shellcheck source=scripts/lib/spin.sh
source "$ROOT/scripts/lib/spin.sh"
# shellcheck source=scripts/lib/servers.sh
source "$ROOT/scripts/lib/servers.sh"
# shellcheck source=scripts/lib/service.sh
source "$ROOT/scripts/lib/service.sh"
