# shellcheck shell=bash
# Starting, remembering and ending processes. Each one gets a file .dev/run/<stand>+<name>.pid
# with its pid and the time it started, so that a number which the system has given to
# somebody else since is never mistaken for ours.

# What this run has started, in order, and the lines of their pid files: a full disk keeps
# nothing from being ended.
STARTED=()
declare -A PID_LINES=()

# The start of a process in clock ticks since the machine booted; nothing when it has ended.
started_at() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
    # The name, in parentheses, may hold spaces: count the fields after it.
    stat=${stat##*) }
    read -r -a stat <<<"$stat"
    # A zombie has ended; it only waits to be read.
    [[ ${stat[0]} == Z ]] || printf '%s' "${stat[19]}"
}

pid_line() { printf '%s %s' "$1" "$(started_at "$1")"; }

# pid_live LINE: prints the pid when the process that the line names still runs.
pid_live() {
    local pid start
    read -r pid start <<<"$1"
    [[ -n ${start:-} && $(started_at "$pid") == "$start" ]] || return 1
    printf '%s' "$pid"
}

# run_pid: the pid of the script that runs this stand, if any does.
run_pid() { [[ -s $RUN/$STAND.pid ]] && pid_live "$(<"$RUN/$STAND.pid")"; }

# No stand's name has a plus, so that none is the beginning of another's.
pid_file() { printf '%s/%s+%s.pid' "$RUN" "$STAND" "$1"; }

# child_pid NAME: the pid of a process that this run has started, or one that was killed.
child_pid() {
    local line=${PID_LINES[$1]:-}
    if [[ -z $line && -s $(pid_file "$1") ]]; then line=$(<"$(pid_file "$1")"); fi
    pid_live "$line"
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
    PID_LINES[$name]=$(pid_line "$pid")
    printf '%s\n' "${PID_LINES[$name]}" 2>/dev/null >"$(pid_file "$name")" ||
        die "cannot write in ${RUN#"$ROOT"/}"
}

# run NAME LOG COMMAND…: the same, and waits for the end; its exit code is the command's.
run() {
    local code=0
    start "$@"
    wait $! || code=$?
    rm -f "$(pid_file "$1")"
    return "$code"
}

# stop NAME: ends a process and its group; after ten seconds without mercy.
stop() {
    local signal=TERM pid tries=0
    # Postgres takes SIGTERM as "wait for the sessions to end", SIGINT as "end them".
    if [[ $1 == postgres ]]; then signal=INT; fi
    if pid=$(child_pid "$1"); then
        kill -s "$signal" -- "-$pid" 2>/dev/null || true
        while child_pid "$1" >/dev/null && ((tries++ < 100)); do sleep 0.1; done
        kill -s KILL -- "-$pid" 2>/dev/null || true
    fi
    rm -f "$(pid_file "$1")"
}

# Ends what this run has started, last first.
stop_started() {
    local i
    trap '' INT TERM HUP
    for ((i = ${#STARTED[@]} - 1; i >= 0; i--)); do stop "${STARTED[i]}"; done
    docker_stop
    apt_unguard
    rm -f "$RUN/$STAND.pid" "$RUN/$STAND.postgres"
}

# Ends what a run that was killed has left behind.
stop_leftovers() {
    local file name
    for file in "$RUN/$STAND"+*.pid; do
        [[ -f $file ]] || continue
        name=${file##*/"$STAND"+}
        name=${name%.pid}
        if child_pid "$name" >/dev/null; then say "ending $name, left over from a run that was killed"; fi
        stop "$name"
    done
    docker_stop
    rm -f "$RUN/$STAND.postgres"
}

# One run of a stand at a time. The lock is held only while the pid file is looked at, so a
# script that is killed leaves none.
claim() {
    local pid
    exec 9>"$RUN/$STAND.lock"
    flock 9
    if pid=$(run_pid); then
        die "already running in this folder (pid $pid); end it there, or with \`make down\`"
    fi
    trap stop_started EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM HUP
    printf '%s\n' "$(pid_line $$)" 2>/dev/null >"$RUN/$STAND.pid" || die "cannot write in ${RUN#"$ROOT"/}"
    exec 9>&-
    stop_leftovers
}

# wait_for NAME TITLE SECONDS COMMAND…: waits until the command succeeds, or says why the
# process NAME ended before that.
wait_for() {
    local name=$1 title=$2 tries=$(($3 * 10)) log=$LOG/$STAND-$1.log
    local hint="see above"
    shift 3
    until "$@"; do
        if [[ -f $log ]]; then hint="$(log_last "$log"); log: ${log#"$ROOT"/}"; fi
        child_pid "$name" >/dev/null || die "$title did not start ($hint)"
        ((tries-- > 0)) || die "$title does not answer ($hint)"
        sleep 0.1
    done
    # Somebody else may have answered, who had taken the port meanwhile.
    sleep 0.1
    child_pid "$name" >/dev/null || die "$title did not start, and something else answers in its place (log: ${log#"$ROOT"/})"
}

# The last line of a log that says what is wrong, or the last one.
log_last() {
    { grep -aE 'FATAL|PANIC|ERROR|[Ee]rror|[Nn]o space' "$1" || grep -av '^[[:space:]]*$' "$1" || true; } | tail -n 1
}
