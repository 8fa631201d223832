# shellcheck shell=sh
# The Python tools: a venv with exactly what a lock file names.

# find_python: sets python to an interpreter that is new enough and can make a venv.
find_python() {
    for python in "${PYTHON:-python3}" python3.13 python3.12 python3.11 /usr/bin/python3; do
        if "$python" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then return 0; fi
    done
    python=
    return 1
}

# venv_stamp VENV LOCK: what it was made from. One that moved is to be made anew: its scripts carry absolute paths.
venv_stamp() { echo "$PWD/$1 $(sha256sum <"$2")"; }

# venv_current VENV LOCK
venv_current() { [ "$(cat "$1/stamp" 2>/dev/null)" = "$(venv_stamp "$1" "$2")" ] && [ -x "$1/bin/python" ]; }

# make_venv VENV LOCK
make_venv() {
    say "installing the Python tools into $1"
    # Behind a company's own CA: uv and pip each take the bundle by another name.
    export UV_SYSTEM_CERTS=1 UV_NATIVE_TLS=1 PIP_DISABLE_PIP_VERSION_CHECK=1
    if [ -n "${SSL_CERT_FILE:-}" ]; then export PIP_CERT="${PIP_CERT:-$SSL_CERT_FILE}"; fi
    if [ -n "${PIP_CERT:-}" ]; then export SSL_CERT_FILE="${SSL_CERT_FILE:-$PIP_CERT}"; fi

    # One that works here is brought up to date, which takes the difference only.
    if [ ! -x "$1/bin/uv" ] || [ "$(cut -d' ' -f1 "$1/stamp" 2>/dev/null)" != "$PWD/$1" ]; then
        "$python" -m venv --clear "$1"
        awk '/^[^ #]/ { wanted = /^uv==/ } wanted' "$2" >"$1/uv.lock"
        retry 2 "$1/bin/pip" install -q --require-hashes -r "$1/uv.lock" || :
    fi
    # uv is many times faster; pip does the same where uv is not to be had.
    if retry 3 "$1/bin/uv" pip sync -q --python "$1/bin/python" --require-hashes "$2"; then
        # Modules are shipped to machines as source: of the collections only the controller's part is worth compiling.
        "$1/bin/python" -m compileall -q -j 2 -x 'ansible_collections/(?!ansible/|community/docker/)' "$1/lib" || :
    else
        retry 3 "$1/bin/python" -m pip install -q --require-hashes -r "$2"
    fi
    venv_stamp "$1" "$2" >"$1/stamp"
}
