# shellcheck shell=sh
# Base images by name, pulled or bootstrapped, and the lab's machines built on them.

ubuntu_mirror=${UBUNTU_MIRROR:-http://archive.ubuntu.com/ubuntu}
suites_file=.cache/lab-suites
left_out=.cache/noble-left-out
windows_image=rustdesk-lab/windows:trixie
browser_image=rustdesk-lab/browser:trixie

base_of() {
    case $1 in
        noble) echo ubuntu:24.04 ;;
        windows | browser) echo debian:trixie-slim ;;
        *) echo "debian:$1-slim" ;;
    esac
}

# inputs_of IMAGE...: the directories an image is made from.
inputs_of() {
    case $1 in
        windows) echo lab/images/windows lab/windows ;;
        browser) echo lab/images/browser ;;
        *) echo lab/images/host ;;
    esac
}

# inputs_hash [SUITE]
inputs_hash() {
    # shellcheck disable=SC2046  # a list
    find $(inputs_of "${1:-}") -type f ! -path '*/__pycache__/*' ! -name '*.md' -exec sha256sum {} + |
        sort | sha256sum | cut -c 1-16
}

# current SUITE...: those whose machine image was built from the present inputs.
current() {
    want=$(inputs_hash)
    want_windows=$(inputs_hash windows)
    want_browser=$(inputs_hash browser)
    for suite in "$@"; do
        case $suite in
            windows) set -- "$@" "$windows_image" ;;
            browser) set -- "$@" "$browser_image" ;;
            *) set -- "$@" "rustdesk-lab/host:$suite" ;;
        esac
        shift
    done
    docker image inspect --format '{{index .Config.Labels "rustdesk-lab.inputs"}} {{join .RepoTags " "}}' "$@" 2>/dev/null |
        while read -r hash tags; do
            for tag in $tags; do
                case $hash:$tag in
                    "$want_windows:$windows_image") echo windows ;;
                    "$want_browser:$browser_image") echo browser ;;
                    "$want:rustdesk-lab/host:"*) echo "${tag#*:}" ;;
                esac
            done
        done
}

has_image() { docker image inspect "$1" >/dev/null 2>&1; }

# registry_answers SUITE...: pulls the first base image that is missing; says whether that worked.
# Without a missing one there is nothing to ask. The answer holds for the others: one time-out is enough.
registry_answers() {
    for suite in "$@"; do
        base=$(base_of "$suite")
        has_image "$base" && continue
        say "pulling $base"
        timeout "${PULL_TIMEOUT:-60}" docker pull -q "$base" >/dev/null 2>&1 && return 0
        say "no registry answers: base images are bootstrapped from the distributions' archives"
        return 1
    done
}

# machine_image SUITE PULL: runs as a job.
machine_image() {
    base=$(base_of "$1")
    base_image "$1" "$2" || return 1
    say "building rustdesk-lab/host:$1"
    docker buildx version >/dev/null 2>&1 || export DOCKER_BUILDKIT=0
    # On the host's network: a bridge loses large packets where the uplink's are smaller than usual.
    retry 2 docker build -q --network host --build-arg "BASE=$base" --label "rustdesk-lab.inputs=$(inputs_hash)" \
        -t "rustdesk-lab/host:$1" lab/images/host
}

# base_image SUITE PULL
base_image() {
    has_image "$(base_of "$1")" && return 0
    { [ "$2" = yes ] && timeout "${PULL_TIMEOUT:-60}" docker pull -q "$(base_of "$1")"; } || bootstrap_base "$1" "$(base_of "$1")"
}

# debian_13 PULL: its base image, which a job for it that was started earlier may be bringing about.
debian_13() {
    while [ -e "$state/trixie.running" ] && ! has_image "$(base_of trixie)"; do sleep 1; done
    base_image trixie "$1"
}

# build_windows_image PULL: Wine and what stands in for Windows. Runs as a job.
build_windows_image() {
    debian_13 "$1" || return 1
    say "building $windows_image (some minutes, the first time)"
    docker buildx version >/dev/null 2>&1 || export DOCKER_BUILDKIT=0
    retry 2 docker build -q --label "rustdesk-lab.inputs=$(inputs_hash windows)" -t "$windows_image" \
        -f lab/images/windows/Dockerfile lab
}

# build_browser_image PULL: Chromium and its driver. Runs as a job.
build_browser_image() {
    debian_13 "$1" || return 1
    say "building $browser_image"
    docker buildx version >/dev/null 2>&1 || export DOCKER_BUILDKIT=0
    retry 2 docker build -q --network host --label "rustdesk-lab.inputs=$(inputs_hash browser)" -t "$browser_image" \
        lab/images/browser
}

# windows_possible: its programs are for one kind of processor, and nothing here emulates another.
windows_possible() {
    case $(docker version --format '{{.Server.Arch}}') in
        amd64) return 0 ;;
        *) say "the Windows machine is left out: it needs an amd64 processor"; return 1 ;;
    esac
}

bootstrap_base() {
    suite=$1
    say "bootstrapping $2"
    tree=$(mktemp -d)
    chmod 755 "$tree"
    set -- --quiet --variant=minbase --aptopt='Acquire::Retries "3"' --aptopt='Acquire::Languages "none"' \
        --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/info/*' \
        --dpkgopt='path-exclude=/usr/share/locale/*' --dpkgopt='path-exclude=/usr/share/doc/*' \
        --dpkgopt='path-include=/usr/share/doc/*/copyright'
    if [ "$suite" = noble ]; then
        ubuntu_keyring >"$tree/ubuntu.gpg"
        set -- "$@" --include=apt --keyring="$tree/ubuntu.gpg" noble "$tree/base.tar" \
            "deb $ubuntu_mirror noble main universe" "deb $ubuntu_mirror noble-updates main universe" \
            "deb $ubuntu_mirror noble-security main universe"
    else
        # Without usr-is-merged, bookworm drags in a converter and the whole of perl.
        set -- "$@" --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr --include=usr-is-merged "$suite" "$tree/base.tar" \
            ${DEBIAN_MIRROR:+"$DEBIAN_MIRROR"}
    fi
    if can_be_root; then retry 2 as_root mmdebstrap "$@"; else retry 2 mmdebstrap "$@"; fi ||
        { rm -rf "$tree"; echo "bootstrapping without root needs user namespaces: 'sudo lab/bootstrap' does without."; return 1; }
    docker import --change 'CMD ["bash"]' --change 'LABEL rustdesk-lab.bootstrapped=yes' "$tree/base.tar" "$(base_of "$suite")" >/dev/null
    rm -rf "$tree"
}

# ubuntu_keyring: the key that signs Ubuntu's archive, from Debian's signed package of it. Not every Debian release has that package.
ubuntu_keyring() {
    debian_13 no >&2 || return 1
    # shellcheck disable=SC2016  # expanded in the container
    docker run --rm --network host "$(base_of trixie)" sh -c '
        exec 3>&1 >&2
        apt-get -o Acquire::Retries=3 -qq update && apt-get -o Acquire::Retries=3 -qq install -y ubuntu-keyring &&
        cat /usr/share/keyrings/ubuntu-archive-keyring.gpg >&3'
}

# noble_answers: whether a third machine can be built; a refusal is remembered for a day.
noble_answers() {
    [ -z "$(find "$left_out" -mtime -1 2>/dev/null)" ] || return 1
    "$python" - "$ubuntu_mirror/dists/noble/InRelease" <<'PY' && return 0
import sys, urllib.request
try:
    urllib.request.urlopen(sys.argv[1], timeout=5).read(1)
except OSError:
    sys.exit(1)
PY
    say "Ubuntu 24.04 is left out: its archive does not answer"
    : >"$left_out"
    return 1
}

# noble_image PULL: an addition to the lab, not a condition of it. Runs as a job.
noble_image() {
    # Its archive's key comes out of the Debian 13 image.
    while [ -e "$state/trixie.running" ] && ! has_image "$(base_of trixie)"; do sleep 1; done
    machine_image noble "$1" && return 0
    say "Ubuntu 24.04 is left out: its image could not be built (lab/bootstrap tries again tomorrow, or when $left_out is gone)"
    cp "$state/noble.log" "$left_out"
}
