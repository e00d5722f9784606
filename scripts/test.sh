#!/usr/bin/env bash
# Runs every tier of the tests.  A tier that this machine cannot carry is named with its reason;
# with CI=true that is a failure (tests/conftest.py does the same for single tests).
set -uo pipefail
cd "$(dirname "$0")/.."

failed=()

tier() {
    local name=$1
    shift
    printf '\n== %s ==\n' "$name"
    local began=$SECONDS
    if "$@"; then
        printf '== %s passed in %d s ==\n' "$name" $((SECONDS - began))
    else
        failed+=("$name")
        printf '== %s FAILED after %d s ==\n' "$name" $((SECONDS - began))
    fi
}

tier "ruff" ruff check .
tier "format" ruff format --check --quiet .
tier "mypy" mypy
tier "docs" sphinx-build -q -W -b html docs docs/_build/html
# Apart from the tests, since a cold build takes longer than a test may.
tier "cluster's binaries" python -m tests.cluster build --if-usable
# A thread that hangs keeps pytest from ending, whatever its own time limits.
tier "pytest" timeout --kill-after=30 3000 pytest "$@"

if ((${#failed[@]})); then
    printf '\nFAILED: %s\n' "${failed[*]}"
    exit 1
fi
printf '\nAll tiers passed.\n'
