#!/usr/bin/env bash
# Writes requirements/*.txt anew from pyproject.toml: every package that pip will install, with one version for all
# supported Pythons and the hashes of its files. Each file is complete by itself and they agree with each other.
# Arguments go to uv: `scripts/pin.sh --upgrade` takes new versions, without it only what must change does.
set -euo pipefail
cd "$(dirname "$0")/.."

uv="$(command -v uv || true)"
[[ -x .venv/bin/uv ]] && uv=.venv/bin/uv
[[ -n $uv ]] || { echo "pin: uv is missing; install it with: .venv/bin/pip install uv" >&2; exit 1; }

compile() {
    local output=$1
    shift
    echo "pin: $output"
    "$uv" pip compile pyproject.toml --quiet --universal --python-version 3.11 --fork-strategy fewest \
        --generate-hashes --no-header --no-annotate --no-emit-find-links --no-emit-index-url --no-config --no-strip-extras \
        --output-file "$output" "$@"
}

compile requirements/dev.txt --extra simulators --extra dev "$@"
compile requirements/simulators.txt --extra simulators --constraint requirements/dev.txt
compile requirements/base.txt --constraint requirements/dev.txt
