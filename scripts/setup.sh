#!/usr/bin/env bash
# Prepares .venv with every pinned package and the project itself (editable). Ends at once when nothing changed.
# PYTHON=... chooses the interpreter; otherwise the first of python3, python3.13, 3.12, 3.11 that is new enough.
set -euo pipefail
cd "$(dirname "$0")/.."

VENV=.venv
REQUIREMENTS=requirements/dev.txt
LOG=$VENV/setup.log
export PIP_DISABLE_PIP_VERSION_CHECK=1 PIP_NO_INPUT=1 PIP_USER=0 PYTHONNOUSERSITE=1
unset PYTHONHOME PYTHONPATH
# Nothing is written outside the checkout, so no cache in the user's home unless it was asked for.
[[ -n ${PIP_CACHE_DIR:-} ]] || export PIP_NO_CACHE_DIR=1

fail() {
    echo "setup: $*" >&2
    exit 1
}

is_new_enough() {
    "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
}

choose_python() {
    local candidate
    for candidate in ${PYTHON:+"$PYTHON"} python3 python3.13 python3.12 python3.11; do
        if command -v "$candidate" >/dev/null && is_new_enough "$candidate"; then
            command -v "$candidate"
            return
        fi
        [[ -z ${PYTHON:-} ]] || fail "PYTHON=$PYTHON is not a Python 3.11 or newer"
    done
    fail "Python 3.11 or newer is needed; on Debian 12: sudo apt install python3 python3-venv"
}

# What the environment was made from: place, interpreter and packages.
packages_key() {
    {
        echo "$PWD"
        "$VENV/bin/python" -c 'import sys; print(sys.version, sys.base_prefix)'
        cat "$REQUIREMENTS"
    } | sha256sum
}

project_key() {
    packages_key | cat - pyproject.toml | sha256sum
}

is_current() {
    [[ -x $VENV/bin/python && -r $VENV/$1.stamp ]] && [[ "$("$1_key" 2>/dev/null)" == "$(<"$VENV/$1.stamp")" ]]
}

# Its pip works and was made for this place: an environment does not survive a move of the checkout.
is_usable() {
    [[ "$(head -n 1 "$VENV/bin/pip" 2>/dev/null)" == "#!$PWD/$VENV/bin/python"* ]] &&
        "$VENV/bin/python" -m pip --version >/dev/null 2>&1
}

make_venv() {
    local python
    python="$(choose_python)"
    "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        fail "$python cannot make virtual environments; on Debian and Ubuntu: sudo apt install python3-venv"
    echo "setup: making $VENV with $("$python" --version)"
    find "$VENV" -mindepth 1 -maxdepth 1 ! -name setup.lock -exec rm -rf {} +
    "$python" -m venv "$VENV" >"$LOG" 2>&1 || fail "making $VENV failed: $(tail -n 20 "$LOG")"
}

# Shows what pip is at: one line that changes on a terminal, a line every 20 packages elsewhere.
show_progress() {
    local line count=0 total
    total="$(grep -c '^[a-z0-9].*==' "$REQUIREMENTS")"
    while IFS= read -r line; do
        printf '%s\n' "$line" >>"$LOG"
        case $line in
            Collecting*)
                count=$((count + 1))
                if [[ -t 1 ]]; then
                    printf '\r\033[Ksetup: fetching %d of %d: %s' "$count" "$total" "${line#Collecting }"
                elif ((count % 20 == 0)); then
                    echo "setup: fetched $count of $total packages"
                fi
                ;;
            Installing*)
                [[ -t 1 ]] && printf '\r\033[K'
                echo "setup: unpacking $count packages, which takes about half a minute"
                ;;
        esac
    done
}

install_packages() {
    echo "setup: installing the packages of $REQUIREMENTS"
    # wheels only, so that no compiler is needed; the tracker of the tests and the words of the Chinese search are
    # pure Python and come as source alone
    "$VENV/bin/python" -m pip install --require-hashes --only-binary :all: --no-binary roundup,jieba --progress-bar off \
        -r "$REQUIREMENTS" 2>&1 |
        show_progress || fail "installing failed, the whole log is in $LOG:
$(tail -n 15 "$LOG")"
    packages_key >"$VENV/packages.stamp"
}

install_project() {
    echo "setup: installing gasgate itself"
    "$VENV/bin/python" -m pip install --quiet --no-deps --no-build-isolation --editable . >>"$LOG" 2>&1 ||
        fail "installing gasgate failed: $(tail -n 20 "$LOG")"
    project_key >"$VENV/project.stamp"
}

mkdir -p "$VENV"
exec 9>"$VENV/setup.lock"
if command -v flock >/dev/null; then
    flock --nonblock 9 || { echo "setup: waiting for another setup to end" && flock 9; }
fi
if is_current packages && is_current project; then
    exit 0
fi
if ! is_current packages; then
    is_usable || make_venv
    install_packages
fi
install_project
echo "setup: done"
