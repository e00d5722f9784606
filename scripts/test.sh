#!/usr/bin/env bash
# Runs every tier of the tests.  A tier that this machine cannot carry is named with its reason;
# with CI=true that is a failure (tests/conftest.py does the same for single tests).
set -uo pipefail
cd "$(dirname "$0")/.."
export PYTHONUNBUFFERED=1

failed=()
# How long each tier took last time, to be told to those who wait.
took=${VIS_RECEIVE_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/vis-receive}/tiers
mkdir -p "$took"

tier() {
    local name=$1 last=
    shift
    [[ -f $took/$name ]] && last=" ($(< "$took/$name") s last time)"
    printf '\n== %s%s ==\n' "$name" "$last"
    local began=$SECONDS
    if "$@"; then
        printf '== %s passed in %d s ==\n' "$name" $((SECONDS - began))
        # Tests that were chosen are others each time.
        [[ $name == chosen\ tests ]] || printf '%d' $((SECONDS - began)) > "$took/$name"
    else
        failed+=("$name")
        printf '== %s FAILED after %d s ==\n' "$name" $((SECONDS - began))
    fi
}

# A thread that hangs keeps pytest from ending, whatever its own time limits.
tests() {
    timeout --kill-after=30 3000 pytest "$@"
}

# So many tests at a time, those of a file one after the other, in the order of the files.
side_by_side() {
    local number=$1
    shift
    tests --numprocesses="$number" --dist=loadfile --no-loadscope-reorder "$@"
}

# Those on a cluster mostly wait, so they go beside the others, in two streams with a cluster each.
declare -A beside=()
begin_beside() {
    local name=$1
    shift
    # A shell's background jobs ignore Ctrl-C, and so would whatever the tests start.
    env --default-signal=INT,QUIT timeout --kill-after=30 3000 pytest "$@" \
        > >(sed -u "s/^/$name | /") 2>&1 &
    beside[$name]=$!
    # shellcheck disable=SC2064 (they are known now)
    trap "kill ${beside[*]} 2> /dev/null" EXIT
}

# Hundreds of processes would compile our own modules anew each.
export PYTHONDONTWRITEBYTECODE=

checks() {
    tier "ruff" ruff check .
    tier "format" ruff format --check --quiet .
    tier "mypy" mypy
    tier "architecture" lint-imports
    tier "docs" sphinx-build -q -W -b html docs docs/_build/html
}

if (($#)); then
    checks
    tier "chosen tests" tests "$@"
else
    # Apart from the tests, since a cold build takes longer than a test may.
    tier "cluster's binaries" python -m testbed build --if-usable
    # The markers are explained in pyproject.toml.
    begin_beside releases tests/cluster -m "release and not cluster_wide"
    begin_beside cluster tests/cluster -m "not patient and (cluster_wide or not release)"
    checks
    tier "tests of units and charts" \
        side_by_side 2 tests/integration tests/unit tests/cluster/charts -m patient
    tier "tests of commands" \
        side_by_side 2 tests --ignore=tests/cluster --ignore=tests/unit -m "not patient and not timely"
    tier "tests of images and the cluster" wait "${beside[cluster]}"
    tier "tests of releases on a cluster" wait "${beside[releases]}"
    # They mostly wait for a disk that is slow on purpose.
    tier "tests that must be in time" side_by_side 3 tests/integration -m timely
fi

if ((${#failed[@]})); then
    printf '\nFAILED: %s\n' "${failed[*]}"
    exit 1
fi
printf '\nAll tiers passed.\n'
