#!/usr/bin/env bash
# run.sh DIR SECONDS [NAME] - runs every libFuzzer program in DIR for SECONDS each, as many at a time as
# there are cores, on a copy of its corpus.  A crash is kept as build/fuzz/crash-<target>-* and named.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/../.."
dir=$1 seconds=$2 only=${3:-}

run_one() {
    local program=$1 seconds=$2 name work log
    name=$(basename "$program")
    name=${name#fuzz_}
    work=build/fuzz/work/$name
    log=$work.log
    mkdir -p "$work"
    if "$program" -max_total_time="$seconds" -timeout=10 -rss_limit_mb=2048 -print_final_stats=1 \
        -artifact_prefix="build/fuzz/crash-$name-" "$work" "tests/fuzz/corpus/$name" >"$log" 2>&1; then
        printf '%-24s ok      %s runs\n' "$name" "$(sed -n 's/^stat::number_of_executed_units: *//p' "$log")"
    else
        printf '%-24s FAILED  see %s\n' "$name" "$log"
        return 1
    fi
}
export -f run_one

programs=("$dir"/fuzz_${only:-*})
[ -x "${programs[0]}" ] || {
    echo "there is no fuzz target ${dir}/fuzz_${only:-*}" >&2
    exit 1
}
printf '%s\n' "${programs[@]}" | xargs -P "$(nproc)" -I{} bash -c "run_one {} $seconds"
