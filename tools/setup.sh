#!/bin/sh
# Make the virtual environment named by the first argument and install the project into it, in the versions
# of requirements.txt, and then the requirements of the second argument, if there is one.
# PYTHON=… chooses the interpreter, NEWEST=1 the newest versions that pyproject.toml allows.
set -u
venv=$1
more=${2:-}
in_range='import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))'

fail() {
    echo "$*" >&2
    exit 1
}

python=
for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
    if "$candidate" -c "$in_range" >/dev/null 2>&1; then
        python=$candidate
        break
    fi
done
[ -n "$python" ] || fail "This project needs Python 3.11, 3.12 or 3.13; found $("${PYTHON:-python3}" --version 2>&1 | head -n 1). Install one of them, or name it: make PYTHON=/path/to/python3.12 …"

"$python" -c 'import venv, ensurepip' >/dev/null 2>&1 ||
    fail "This Python cannot make virtual environments: install its venv package (on Debian and Ubuntu: apt install python3-venv) and run the same command again."

if [ -n "${NEWEST:-}" ]; then
    what='-e .[notebooks,scale,site,test]'
else
    what='-r requirements.txt -e .'
fi
log=$(mktemp)
trap 'rm -f "$log"' EXIT
"$python" -m venv --clear "$venv" >"$log" 2>&1 || { cat "$log" >&2; fail "Could not make the virtual environment $venv."; }

pip() {
    "$venv/bin/python" -m pip "$@" --quiet --disable-pip-version-check >"$log" 2>&1
}

# Where Python may not keep what it compiles (as in many containers), each start of TensorFlow compiles it again, for
# six seconds; pip compiles when it installs, uv when it is told to.
compile=${PYTHONDONTWRITEBYTECODE:+--compile-bytecode}

# uv installs the same list in a fraction of pip's time; what it cannot do here (a mirror that only pip knows, say) pip does.
install_all() {
    if pip install uv; then
        echo "Setting up $venv with $("$python" --version); the first time this takes about a minute."
        # shellcheck disable=SC2086
        "$venv/bin/uv" pip install --quiet $compile --python "$venv/bin/python" $what >"$log" 2>&1 && return 0
        echo "uv could not install the packages; pip tries the same list."
    fi
    echo "Setting up $venv with $("$python" --version) and pip; the first time this takes several minutes."
    # shellcheck disable=SC2086
    pip install $what
}

if ! install_all || { [ -n "$more" ] && ! pip install -r "$more"; }; then
    if grep -qE 'NewConnectionError|ConnectTimeout|Temporary failure in name resolution|Network is unreachable|ProxyError|ReadTimeout|from versions: none' "$log"; then
        fail "The packages could not be downloaded: check the network connection (and pip's proxy settings), then run the same command again."
    fi
    tail -n 20 "$log" >&2
    fail "The installation failed; the last lines of its log stand above."
fi
touch "$venv/.ready"
