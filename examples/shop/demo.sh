#!/usr/bin/env bash
# demo.sh - the shop, traced: starts `sonde agent` (which hosts intake and UI), two services and a load generator.
#
#   demo.sh [--once] [--build-dir DIR] [--rate N] [--seconds N]
#
# Without --once it runs until Ctrl-C.  --once needs no terminal: a bounded load, then the counts produced by the services,
# received and forwarded by the agent and stored by the intake; exit status 0 only when they agree, nothing was dropped, and
# a trace through both services, the database and the shipping thread comes back from the query API with the right parents.
# Needs bash, curl, jq.
set -euo pipefail

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
build_dir=$here/../../build/release
once=0 rate=50 seconds=0
while [ $# -gt 0 ]; do
    case $1 in
    --once) once=1 rate=100 seconds=12 ;;
    --build-dir) build_dir=${2:?} && shift ;;
    --rate) rate=${2:?} && shift ;;
    --seconds) seconds=${2:?} && shift ;;
    *)
        sed -n '2,/^set /{/^#/s/^# \{0,1\}//p}' "${BASH_SOURCE[0]}" >&2
        exit 2
        ;;
    esac
    shift
done
bin=$build_dir/bin
dir=$(mktemp -d "${TMPDIR:-/tmp}/sonde-demo.XXXXXX")
tick='✓'
[ -t 1 ] && [ -z "${NO_COLOR:-}" ] && tick=$'\e[32m✓\e[0m'

# --- processes: started in sessions of their own, so that Ctrl-C reaches only this script; stopped by pid ---------------------

declare -A pid=()

start() { # start NAME PROGRAM ARG...; output goes to $dir/NAME.log
    local name=$1
    shift
    setsid "$@" >"$dir/$name.log" 2>&1 </dev/null &
    pid[$name]=$!
}

alive() { [ -n "${pid[$1]:-}" ] && kill -0 "${pid[$1]}" 2>/dev/null; }

stop() { # stop NAME: SIGTERM, and after 10 s SIGKILL
    local i
    alive "$1" || return 0
    kill -TERM "${pid[$1]}" 2>/dev/null || true
    for ((i = 0; i < 200; i++)); do
        alive "$1" || break
        sleep 0.05
    done
    kill -KILL "${pid[$1]}" 2>/dev/null && echo "demo: $1 had to be killed" >&2
    wait "${pid[$1]}" 2>/dev/null || true
    unset "pid[$1]"
}

stop_all() {
    local name
    for name in load gateway orders agent; do stop "$name"; done
}

leave() {
    local status=$?
    trap - EXIT INT TERM HUP
    if [ "$status" = 130 ] && [ "$once" = 0 ]; then
        printf '\n  stopping\n'
        status=0
    fi
    stop_all
    if [ "$status" = 0 ]; then rm -rf "$dir"; else echo "demo: logs are in $dir" >&2; fi
    exit "$status"
}
trap leave EXIT
trap 'exit 130' INT # the end of the live form, where it is no failure
trap 'exit 143' TERM HUP

fail() {
    printf '  ✗ %s\n' "$*" >&2
    exit 1
}

wait_until() { # wait_until SECONDS WHAT COMMAND...
    local end=$((SECONDS + $1)) what=$2 name
    shift 2
    until "$@" >/dev/null 2>&1; do
        for name in "${!pid[@]}"; do
            alive "$name" || fail "$name ended while waiting for $what: $(tail -n 3 "$dir/$name.log")"
        done
        [ $SECONDS -lt $end ] || fail "gave up waiting for $what"
        sleep 0.1
    done
}

free_port() { # free_port FIRST: FIRST, or the next one nothing listens on
    local port=$1
    while (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do port=$((port + 10)); done
    echo "$port"
}

json() { curl -sS --fail-with-body --max-time 10 "$@"; }

# --- start ---------------------------------------------------------------------------------------------------------------------

for program in sonde shop-gateway shop-orders shop-load; do
    [ -x "$bin/$program" ] || fail "$bin/$program is missing: ./dev build makes it"
done

agent_port=$(free_port 8126) ui_port=$(free_port 8127)
agent=http://127.0.0.1:$agent_port ui=http://127.0.0.1:$ui_port
cat >"$dir/datadog.yaml" <<EOF
# Everything of the demo stays in $dir.  All traces are kept, so that the counts can be compared.
apm_config:
  receiver_port: $agent_port
  receiver_socket: ""
  target_traces_per_second: 100000
sonde:
  data_dir: $dir/data
  local:
    port: $ui_port
EOF
start agent env -u DD_API_KEY -u DD_SITE -u DD_DD_URL -u DD_APM_DD_URL "$bin/sonde" agent --config "$dir/datadog.yaml"
wait_until 10 "the agent" json "$agent/info"
printf '  %s agent :%s (pid %s)' "$tick" "$agent_port" "${pid[agent]}"
wait_until 10 "the intake" json "$ui/api/sonde/v1/counters"
printf '   %s intake + UI  %s\n' "$tick" "$ui"

service() { # service NAME ARG...: starts shop-NAME and sets NAME_url
    local name=$1
    start "$name" env DD_SERVICE="$name" DD_ENV=demo DD_VERSION=1.0 DD_TRACE_AGENT_URL="$agent" "$bin/shop-$name" 0 "${@:2}"
    wait_until 10 "$name" grep -q 'listening on' "$dir/$name.log"
    printf -v "${name}_url" 'http://%s' "$(sed -n 's/^listening on //p' "$dir/$name.log" | head -n 1)"
}
service orders "$dir/orders.db"
service gateway "$orders_url"
start load "$bin/shop-load" --url "$gateway_url" --rate "$rate" --seconds "$seconds"

# --- the live line, on a terminal only -------------------------------------------------------------------------------------------

summary() {
    local load counters
    load=$(tail -n 1 "$dir/load.log")
    counters=$(json "$gateway_url/counters" "$orders_url/counters")
    jq -nr --argjson load "${load:-null}" --argjson all "$(jq -s . <<<"$counters")" '
        def spaced: tostring | explode | reverse | [range(0; length) as $i | (if $i > 0 and $i % 3 == 0 then 32 else empty end), .[$i]] | reverse | implode;
        if $load == null then "starting" else
        "\($load.per_second | round) requests/s · \($load.requests | spaced) traces · \([$all[].spans_finished] | add | spaced) spans · " +
        "\(if $load.requests > 0 then $load.failed * 1000 / $load.requests | round | "\(. / 10 | floor).\(. % 10)" else "0.0" end) % errors · p99 \($load.p99_ms | round) ms" end'
}

while alive load; do
    if [ -t 1 ]; then printf '\r\e[K  shop: %s     (Ctrl-C stops)' "$(summary 2>/dev/null || echo waiting)"; fi
    sleep 1
done
[ ! -t 1 ] || echo
wait "${pid[load]}" || fail "the load generator saw no good answer: $(tail -n 1 "$dir/load.log")"
unset 'pid[load]'
[ $once = 1 ] || exit 0

# --- --once: do the counts agree? ------------------------------------------------------------------------------------------------

requests=$(tail -n 1 "$dir/load.log" | jq .requests)
stop gateway
stop orders
produced=$(tail -qn 1 "$dir/gateway.log" "$dir/orders.log" | jq -s '
    def sum(f): map(f) | add;
    { spans: sum(.spans_finished), spans_lost: sum(.spans_dropped + .spans_queued + .spans_open),
      chunks: sum(.chunks_delivered + .chunks_dropped + .chunks_queued), chunks_lost: sum(.chunks_dropped + .chunks_queued) }')

counts() { # every stage in one object, from its own counters; what was read stays in $dir
    json "$agent/sonde/v1/status" >"$dir/agent.json" && json "$ui/api/sonde/v1/counters" >"$dir/intake.json" &&
        jq -n --argjson produced "$produced" --slurpfile agent "$dir/agent.json" --slurpfile intake "$dir/intake.json" \
            -f "$here/counts.jq"
}
settled() { counts | jq -e '.produced.spans == .stored.spans and .waiting == 0'; }
wait_until 20 "the intake to hold all spans" settled || true
counts >"$dir/counts.json"

printf '\n  %-12s %10s %10s\n' '' spans chunks
for stage in produced received forwarded stored dropped; do
    jq -r --arg s $stage '.[$s] | "\(.spans) \(.chunks)"' "$dir/counts.json" | {
        read -r spans chunks
        printf '  %-12s %10s %10s\n' "$stage" "$spans" "$chunks"
    }
done
jq -e '[.produced, .received, .forwarded, .stored] | unique_by([.spans, .chunks]) | length == 1' "$dir/counts.json" >/dev/null || fail "the counts differ"
jq -e '.dropped.spans == 0 and .dropped.chunks == 0' "$dir/counts.json" >/dev/null || fail "something was dropped"
printf '  %s %s requests: the counts agree, nothing was dropped\n' "$tick" "$requests"

# --- --once: one trace across everything -----------------------------------------------------------------------------------------

search='{"data":{"type":"search_request","attributes":{"filter":{"query":"service:orders operation_name:order.ship","from":"now-15m","to":"now"},"page":{"limit":1}}}}'
trace_id=$(json -H 'Content-Type: application/json' -d "$search" "$ui/api/v2/spans/events/search" | jq -er '.data[0].attributes.trace_id') ||
    fail "the span search found no shipped order"
json "$ui/api/sonde/v1/traces/$trace_id" >"$dir/trace.json" || fail "trace $trace_id cannot be read"
jq -er -f "$here/check_trace.jq" "$dir/trace.json" >"$dir/trace.txt" || fail "trace $trace_id has not the expected shape: $(cat "$dir/trace.txt")"
sed 's/^/  /' "$dir/trace.txt"
printf '  %s trace %s crosses gateway, orders, the database and the shipping thread\n' "$tick" "$trace_id"
