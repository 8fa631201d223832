# shellcheck shell=sh
# Debian packages, and the right to install them.

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo -n "$@"; fi
}

# can_be_root: root, or sudo that asks nothing. A password prompt in the middle of a run would look like a hang.
can_be_root() {
    [ "$(id -u)" -eq 0 ] || { have sudo && sudo -n true 2>/dev/null; }
}

# install_packages PACKAGE...: one transaction, so that two package managers never fight over the lock.
install_packages() {
    [ $# -gt 0 ] || return 0
    have apt-get || die "$* must be there and this system has no apt-get: install the equivalents with its package manager, then run this again."
    can_be_root || die "installing $* needs root: run 'sudo lab/bootstrap' once, then go on as you are."
    say "installing $*"
    run_logged apt "refreshing the package lists" as_root apt-get -o Acquire::Retries=3 -o Acquire::http::Timeout=30 -o DPkg::Lock::Timeout=300 -qq update
    # The client became a package of its own, only recommended by the engine, with Debian 13.
    case " $* " in
        *" docker.io "*) if apt-cache show docker-cli >/dev/null 2>&1; then set -- "$@" docker-cli; fi ;;
    esac
    run_logged apt "installing $*" as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get -o Acquire::Retries=3 -o Acquire::http::Timeout=30 -o DPkg::Lock::Timeout=300 -y --no-install-recommends install "$@"
}

# run_logged LOG WHAT COMMAND...: bounded retries, quiet on success, the last lines on failure.
run_logged() {
    log=$state/$1.log
    what=$2
    shift 2
    retry 3 "$@" >"$log" 2>&1 && return 0
    tail -n 15 "$log" | sed 's/^/    /' >&3
    die "$what failed three times; the package manager's last lines are above."
}
