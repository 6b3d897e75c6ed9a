#!/usr/bin/env bash
# Runs the checks that CI and pre-commit run; all of them, also after one failed. `scripts/lint.sh NAME...` runs some.
set -uo pipefail
cd "$(dirname "$0")/.." || exit
BIN=.venv/bin
CHECKS=(style format types imports spelling site shell)

style() { "$BIN/ruff" check .; }
format() { "$BIN/ruff" format --check .; }
types() { "$BIN/mypy"; }
imports() { "$BIN/lint-imports"; }
# A checkout may belong to another user than the one who runs CI.
spelling() { git -c 'safe.directory=*' ls-files -z | xargs -0 "$BIN/codespell"; }
# Every link and anchor leads somewhere, every page stands in the navigation.
site() { NO_MKDOCS_2_WARNING=1 "$BIN/mkdocs" build --strict --quiet; }
shell() {
    if command -v shellcheck >/dev/null; then
        shellcheck scripts/*.sh .ci/run
    elif [[ ${CI:-} == true ]]; then
        echo "shellcheck is missing (scripts/install-services.sh installs it)" >&2
        return 1
    else
        echo "skipped: shellcheck is not installed"
    fi
}

failed=()
for check in "${@:-${CHECKS[@]}}"; do
    case " ${CHECKS[*]} " in
        *" $check "*) ;;
        *) echo "lint: no check named $check; there are: ${CHECKS[*]}" >&2 && exit 2 ;;
    esac
    if output="$("$check" 2>&1)"; then
        echo "lint: $check is fine"
    else
        printf '%s\nlint: %s FAILED\n' "$output" "$check"
        failed+=("$check")
    fi
done
[[ ${#failed[@]} == 0 ]]
