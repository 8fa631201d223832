# shellcheck shell=sh
# What the person at the terminal sees, and jobs that run side by side.

# Lines for people go to the terminal even from a job, whose own output goes to its log.
exec 3>&2

state=$(mktemp -d)
: >"$state/said"
ticker=

say() {
    printf '==> %s\n' "$*" >&3
    : >"$state/said"
}

die() {
    printf 'error: %s\n' "$*" >&3
    exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

clean_up() {
    unwatch
    rm -rf "$state"
}
trap clean_up EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# watch: from now on, a line with the elapsed seconds whenever nothing was said for a while.
silence=${LAB_SILENCE:-15}
watch() {
    [ -z "$ticker" ] || return 0
    (
        began=$(date +%s)
        while sleep $(((silence + 2) / 3)) >/dev/null 2>&1 3>&-; do
            [ -d "$state" ] || exit 0
            now=$(date +%s)
            [ $((now - $(stat -c %Y "$state/said"))) -ge "$silence" ] || continue
            running=$(cd "$state" && for job in *.running; do [ ! -e "$job" ] || printf ' %s' "${job%.running}"; done)
            say "still working after $((now - began)) s:${running:- preparing}"
        done
    ) &
    ticker=$!
}

# unwatch: until further notice, somebody else says what happens. KILL, as TERM may wait for the end of a sleep.
unwatch() {
    [ -z "$ticker" ] || kill -KILL "$ticker" 2>/dev/null || :
    ticker=
}

# retry TIMES COMMAND...: a mirror that hiccups is asked again, a few seconds later.
retry() {
    left=$1
    shift
    until "$@"; do
        left=$((left - 1))
        [ "$left" -gt 0 ] || return 1
        echo "failed, trying again: $*"
        sleep 3
    done
}

# job NAME COMMAND...: runs it in the background; await collects all of them.
jobs_started=
job() {
    name=$1
    shift
    : >"$state/$name.running"
    (
        status=0
        ("$@") >"$state/$name.log" 2>&1 || status=$?
        rm -f "$state/$name.running"
        if [ "$status" -ne 0 ]; then
            printf 'error: %s failed; its last lines:\n' "$name" >&3
            tail -n 15 "$state/$name.log" | sed 's/^/    /' >&3
        fi
        exit "$status"
    ) &
    jobs_started="$jobs_started $!"
}

await() {
    failed=0
    for pid in $jobs_started; do
        wait "$pid" || failed=1
    done
    jobs_started=
    return "$failed"
}
