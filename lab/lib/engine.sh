# shellcheck shell=sh
# The container engine: the one that runs, else Debian's package.

socket=${DOCKER_SOCKET:-/var/run/docker.sock}

engine_answers() { docker version --format '{{.Server.Version}}' >/dev/null 2>&1; }

# engine_packages: what must be installed before the engine can be started.
engine_packages() {
    if [ -z "${DOCKER_HOST:-}" ] && ! have dockerd && [ ! -S "$socket" ]; then
        echo docker.io iptables iproute2 ca-certificates
    elif ! have docker; then
        echo docker.io
    fi
}

start_engine() {
    engine_answers && return 0
    engine_refuses && die "$refusal"
    can_be_root || die "the container engine does not run, and starting it needs root: run 'sudo lab/bootstrap' once, then go on as you are."
    if [ -d /run/systemd/system ]; then
        say "starting the container engine"
        as_root systemctl start docker || die "the container engine does not start: 'journalctl -u docker' says why."
    else
        log=/var/log/dockerd.log
        say "starting the container engine (no systemd here; its log is $log)"
        as_root sh -c "rm -f /var/run/docker.pid; exec setsid nohup dockerd </dev/null >>$log 2>&1 3>&- &"
    fi
    tries=60
    until engine_answers; do
        engine_refuses && die "$refusal"
        tries=$((tries - 1))
        [ "$tries" -gt 0 ] || die "the container engine did not answer within 60 s: 'docker info' and ${log:-journalctl -u docker} say why."
        sleep 1
    done
}

# engine_refuses: it runs, and this user may not use it.
engine_refuses() {
    refusal="no access to the container engine: join its group (sudo usermod -aG docker $(id -un), then log in again) or run as root."
    [ -z "${DOCKER_HOST:-}" ] && [ -S "$socket" ] && [ ! -w "$socket" ]
}
