# shellcheck shell=bash
# The Spin CLI: the one that is named or on PATH, the official release, or none, so that the
# stand-in serves.

SPIN_VERSION=4.0.2

# spin_find: sets SPIN to a usable Spin CLI, or to nothing when the stand-in has to serve, as
# SPIN=stand-in asks for.
# A `spin` on PATH may be another program of that name, or too old for WASI 0.3.
spin_find() {
    local asked=${SPIN:-} version
    if [[ $asked == stand-in ]]; then
        SPIN=
        return
    fi
    SPIN=${asked:-$(command -v spin || true)}
    [[ -n $SPIN ]] || return 0
    version=$("$SPIN" --version 2>/dev/null </dev/null | head -n 1) || version=
    if [[ $version =~ ^spin\ ([0-9]+)\. ]] && ((BASH_REMATCH[1] >= 4)); then
        SPIN=$(command -v "$SPIN")
        return
    fi
    [[ -z $asked ]] || die "SPIN=$asked is not the Spin CLI, version 4.0 or later"
    say "not using $SPIN: it is not the Spin CLI, version 4.0 or later"
    SPIN=
}

# spin_take: sets SPIN to the official release, which is downloaded once and checked, or leaves
# it empty and says why. SPIN_DOWNLOAD_URL names a mirror of the release's files.
spin_take() {
    local folder=${SPIN_FOLDER:-$TOOLS/spin-$SPIN_VERSION} PROBLEM=
    if ! "$folder/spin" --version >/dev/null 2>&1; then
        rm -rf "$folder" "$folder.new"
        mkdir -p "$folder.new"
        if ! spin_download "$folder.new"; then
            rm -rf "$folder.new"
            say "not using Spin $SPIN_VERSION but the stand-in: $PROBLEM"
            return
        fi
        mv "$folder.new" "$folder"
    fi
    SPIN=$folder/spin
}

# The release's name for this machine.
spin_platform() {
    local system machine
    system=$(uname -s) machine=$(uname -m)
    case $system in Darwin) system=macos ;; *) system=${system,,} ;; esac
    case $machine in x86_64) machine=amd64 ;; arm64) machine=aarch64 ;; esac
    printf '%s-%s' "$system" "$machine"
}

# spin_download FOLDER: puts `spin` there, or sets PROBLEM to why not. Who cannot be reached is
# given up after a few seconds, and so is a download that stands still.
spin_download() {
    local folder=$1 url log=$LOG/$STAND-spin.log archive wanted show=--silent
    url=${SPIN_DOWNLOAD_URL:-https://github.com/spinframework/spin/releases/download/v$SPIN_VERSION}
    url=${url%/}
    archive=spin-v$SPIN_VERSION-$(spin_platform).tar.gz
    has curl || (apt_install curl ca-certificates) || { PROBLEM="curl is missing" && return 1; }
    spin_curl "$log" --silent --max-time 6 --output "$folder/checksums" "$url/checksums-v$SPIN_VERSION.txt" ||
        { PROBLEM="$url does not give it ($(log_last "$log"))" && return 1; }
    wanted=$(awk -v file="$archive" '$2 == file || $2 == "*" file { print $1 }' "$folder/checksums")
    [[ $wanted =~ ^[0-9a-f]{64}$ ]] || { PROBLEM="there is no $archive" && return 1; }
    say "downloading Spin $SPIN_VERSION into ${TOOLS#"$ROOT"/} (SPIN=stand-in does without)"
    if [[ -t 2 ]]; then show=--progress-bar log=-; fi
    spin_curl "$log" "$show" --speed-limit 1000 --speed-time 10 --output "$folder/$archive" "$url/$archive" ||
        { PROBLEM="the download of $archive broke off" && return 1; }
    [[ $(sha256sum <"$folder/$archive") == "$wanted "* ]] ||
        { PROBLEM="$archive does not have the checksum that the release names" && return 1; }
    tar -xzf "$folder/$archive" -C "$folder" 2>/dev/null || { PROBLEM="$archive is damaged" && return 1; }
    "$folder/spin" --version >/dev/null 2>&1 || { PROBLEM="$archive does not run on this machine" && return 1; }
    rm -f "$folder/$archive" "$folder/checksums"
}

# spin_curl LOG OPTION…
spin_curl() {
    run spin-download "$1" curl --fail --location --show-error --connect-timeout 4 "${@:2}"
}
