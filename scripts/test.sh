#!/usr/bin/env bash
# Runs every tier of the tests.  A tier that this machine cannot carry is named with its reason;
# with CI=true that is a failure (tests/conftest.py does the same for single tests).
set -uo pipefail
cd "$(dirname "$0")/.."
export PYTHONUNBUFFERED=1

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

# A thread that hangs keeps pytest from ending, whatever its own time limits.
tests() {
    timeout --kill-after=30 3000 pytest "$@"
}

# Of units, and of commands where nothing depends on being quick: they do not mind who else is at work.
patient=(
    tests/unit
    tests/integration/push
    tests/integration/test_{bad_input,checked_before,emu_simulate,fetch_model}.py
)

# Those of releases mostly wait, so they have a cluster of their own beside the others.
side_by_side() {
    # A shell's background jobs ignore Ctrl-C, and so would whatever the tests start.
    env --default-signal=INT,QUIT timeout --kill-after=30 3000 pytest tests/cluster/releases \
        > >(sed -u 's/^/releases | /') 2>&1 &
    local releases=$!
    # shellcheck disable=SC2064 (it is known now)
    trap "kill $releases 2> /dev/null" EXIT
    tier "tests of units" tests "${patient[@]}"
    tier "tests of charts, images and the cluster" tests tests/cluster --ignore=tests/cluster/releases
    tier "tests of releases on a cluster" wait "$releases"
}

tier "ruff" ruff check .
tier "format" ruff format --check --quiet .
tier "mypy" mypy
tier "docs" sphinx-build -q -W -b html docs docs/_build/html
if (($#)); then
    tier "tests" tests "$@"
else
    # Apart from the tests, since a cold build takes longer than a test may.
    tier "cluster's binaries" python -m tests.cluster build --if-usable
    side_by_side
    # By themselves: what they send must not be lost because somebody else is busy.
    tier "tests of commands" tests "${patient[@]/#/--ignore=}" --ignore=tests/cluster
fi

if ((${#failed[@]})); then
    printf '\nFAILED: %s\n' "${failed[*]}"
    exit 1
fi
printf '\nAll tiers passed.\n'
