# shellcheck shell=bash
# Starting, remembering and ending processes. Each one gets a file .dev/run/<stand>-<name>.pid
# with its pid and the time it started, so that a number which the system has given to
# somebody else since is never mistaken for ours.

STARTED=()

# The start of a process in clock ticks since the machine booted; nothing when it is gone.
started_at() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
    # The name, in parentheses, may hold spaces: count the fields after it.
    stat=${stat##*) }
    read -r -a stat <<<"$stat"
    # A zombie has ended; it only waits to be read.
    [[ ${stat[0]} == Z ]] || printf '%s' "${stat[19]}"
}

pid_file() { printf '%s/%s-%s.pid' "$RUN" "$STAND" "$1"; }

pid_remember() { printf '%s %s\n' "$2" "$(started_at "$2")" >"$1"; }

# pid_live FILE: prints the pid when the process that the file names still runs.
pid_live() {
    local pid start
    [[ -f $1 ]] && read -r pid start <"$1" || return 1
    [[ -n ${start:-} && $(started_at "$pid") == "$start" ]] || return 1
    printf '%s' "$pid"
}

# start NAME LOG COMMAND…: runs a command in the background in a process group of its own, so
# that Ctrl-C reaches this script alone, which then ends its children in order. LOG `-`: the
# command writes to where the script writes.
start() {
    local name=$1 log=$2 pid
    shift 2
    set -m
    if [[ $log == - ]]; then
        "$@" </dev/null &
    else
        "$@" </dev/null >"$log" 2>&1 &
    fi
    pid=$!
    set +m
    STARTED+=("$name")
    pid_remember "$(pid_file "$name")" "$pid"
}

# run NAME LOG COMMAND…: the same, and waits for the end; its exit code is the command's.
run() {
    local code=0
    start "$@"
    wait $! || code=$?
    rm -f "$(pid_file "$1")"
    return "$code"
}

# stop NAME [SIGNAL]: ends a process and its group; after ten seconds without mercy.
stop() {
    local file pid tries=0
    file=$(pid_file "$1")
    if pid=$(pid_live "$file"); then
        kill -s "${2:-TERM}" -- "-$pid" 2>/dev/null || true
        while pid_live "$file" >/dev/null && ((tries++ < 100)); do sleep 0.1; done
        kill -s KILL -- "-$pid" 2>/dev/null || true
    fi
    rm -f "$file"
}

# Postgres takes SIGINT as "end the sessions and stop", SIGTERM as "wait for the sessions".
stop_signal() { [[ $1 == postgres ]] && printf INT || printf TERM; }

# Ends what this run has started, last first.
stop_started() {
    local i
    trap '' INT TERM HUP
    for ((i = ${#STARTED[@]} - 1; i >= 0; i--)); do
        stop "${STARTED[i]}" "$(stop_signal "${STARTED[i]}")"
    done
    docker_stop
    rm -f "$RUN/$STAND.pid" "$RUN/$STAND.postgres"
}

# Ends what a run that was killed has left behind.
stop_leftovers() {
    local file name
    for file in "$RUN/$STAND"-*.pid; do
        [[ -f $file ]] || continue
        name=${file##*/"$STAND"-}
        name=${name%.pid}
        if pid_live "$file" >/dev/null; then say "ending $name, left over from a run that was killed"; fi
        stop "$name" "$(stop_signal "$name")"
    done
    docker_stop
    rm -f "$RUN/$STAND.postgres"
}

# One run of a stand at a time. The lock is held only while the pid file is looked at, so a
# script that is killed leaves none.
claim() {
    local file=$RUN/$STAND.pid pid
    exec 9>"$RUN/$STAND.lock"
    flock 9
    if pid=$(pid_live "$file"); then
        die "already running in this folder (pid $pid); end it there, or with \`make down\`"
    fi
    pid_remember "$file" $$
    exec 9>&-
    trap stop_started EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    stop_leftovers
}

# wait_for NAME TITLE SECONDS COMMAND…: waits until the command succeeds, or says why the
# process NAME ended before that.
wait_for() {
    local name=$1 title=$2 tries=$(($3 * 10)) log=$LOG/$STAND-$1.log
    shift 3
    until "$@"; do
        pid_live "$(pid_file "$name")" >/dev/null ||
            die "$title did not start: $(log_last "$log") (log: ${log#"$ROOT"/})"
        ((tries-- > 0)) || die "$title does not answer (log: ${log#"$ROOT"/})"
        sleep 0.1
    done
}

# The last line of a log that says something.
log_last() {
    [[ -f $1 ]] || { printf 'it ended without a word'; return; }
    { grep -aE 'FATAL|PANIC|ERROR|[Ee]rror|[Nn]o space' "$1" || grep -av '^[[:space:]]*$' "$1" || true; } | tail -n 1
}
