# shellcheck shell=sh
# The Python tools: .venv with exactly what requirements.lock names.

# find_python: an interpreter that is new enough and can make a venv.
find_python() {
    for python in "${PYTHON:-python3}" python3.13 python3.12 python3.11 /usr/bin/python3; do
        if "$python" -c 'import ensurepip, sys; sys.exit(sys.version_info < (3, 11))' >/dev/null 2>&1; then return 0; fi
    done
    python=
    return 1
}

# venv_stamp: what the venv was made from. A checkout that moved needs a new one: scripts carry absolute paths.
venv_stamp() { echo "$PWD $(sha256sum <requirements.lock)"; }

venv_current() { [ "$(cat .venv/stamp 2>/dev/null)" = "$(venv_stamp)" ] && [ -x .venv/bin/python ]; }

make_venv() {
    say "installing the Python tools into .venv"
    # Behind a company's own CA: uv and pip each take the bundle by another name.
    export UV_SYSTEM_CERTS=1 UV_NATIVE_TLS=1 PIP_DISABLE_PIP_VERSION_CHECK=1
    if [ -n "${SSL_CERT_FILE:-}" ]; then export PIP_CERT="${PIP_CERT:-$SSL_CERT_FILE}"; fi
    if [ -n "${PIP_CERT:-}" ]; then export SSL_CERT_FILE="${SSL_CERT_FILE:-$PIP_CERT}"; fi

    rm -f .venv/stamp
    "$python" -m venv --clear .venv
    awk '/^[^ #]/ { wanted = /^uv==/ } wanted' requirements.lock >.venv/uv.txt
    # uv is many times faster; pip does the same where uv is not to be had.
    if retry 2 .venv/bin/pip install -q --require-hashes -r .venv/uv.txt &&
        retry 3 .venv/bin/uv pip sync -q --python .venv/bin/python --require-hashes requirements.lock; then
        # Modules are shipped to machines as source: of the collections only the controller's part is worth compiling.
        .venv/bin/python -m compileall -q -j 2 -x 'ansible_collections/(?!ansible/|community/docker/)' .venv/lib || :
    else
        retry 3 .venv/bin/python -m pip install -q --require-hashes -r requirements.lock
    fi
    venv_stamp >.venv/stamp
}
