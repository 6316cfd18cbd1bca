#!/usr/bin/env python3
"""report.py - runs the benchmark programs and prints each figure against its target.

Called by `./dev bench [--json] [KEY...]`.  Every program is run --runs times (5); a figure is the median
of its runs, printed with the spread (lowest and highest).  Programs print one JSON object a line; a row of
FIGURES says which program, which line and which field make a key.
"""
import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
from collections import namedtuple

from peers import peers

# better: "low" or "high".  target None: shown for information.  rival: (name, low, high) measured on a 2-core machine, gcc 12 -O2.
Figure = namedtuple("Figure", "key unit target better rival program match field")

DD, OTEL = "dd-trace-cpp", "OpenTelemetry C++"

FIGURES = [
    Figure("trace.span_ns", "ns", 70, "low", (OTEL, 196, 225), "bench_trace", {"bench": "span", "tags": 0, "threads": 1}, "ns_per_op"),
    Figure("trace.span3_ns", "ns", 130, "low", (OTEL, 373, 420), "bench_trace", {"bench": "span", "tags": 3, "threads": 1}, "ns_per_op"),
    Figure("trace.span_2t_ns", "ns", None, "low", None, "bench_trace", {"bench": "span", "tags": 0, "threads": 2}, "ns_per_op"),
    Figure("trace.span3_2t_ns", "ns", None, "low", None, "bench_trace", {"bench": "span", "tags": 3, "threads": 2}, "ns_per_op"),
    Figure("trace.allocs", "per span", 0, "low", (OTEL, 4, 8), "bench_trace", {"bench": "span", "tags": 3, "threads": 1}, "allocs_per_op"),
    Figure("trace.scaling2", "x", 1.9, "high", None, "bench_trace", {"bench": "scaling"}, "ratio"),
    Figure("trace.scaling2_machine", "x", None, "high", None, "bench_trace", {"bench": "scaling"}, "machine"),
    Figure("trace.unsampled_ns", "ns", 40, "low", None, "bench_trace", {"bench": "unsampled"}, "ns_per_op"),
    Figure("trace.off_ns", "ns", 2, "low", (DD, 5.3, 5.3), "bench_trace", {"bench": "off"}, "ns_per_op"),
    Figure("trace.inject_extract_ns", "ns", 400, "low", (OTEL, 642, 642), "bench_trace", {"bench": "inject_extract"}, "ns_per_op"),
    Figure("trace.kept_cpu_ns", "ns", 250, "low", (DD, 879, 1732), "bench_trace", {"bench": "kept_cpu"}, "ns_per_op"),
    Figure("trace.kept_cpu_stats_ns", "ns", None, "low", None, "bench_trace", {"bench": "kept_cpu_stats"}, "ns_per_op"),
    Figure("trace.cap_mib", "MiB", 16, "low", (OTEL, 23, 23), "bench_trace", {"bench": "cap"}, "mib"),
    Figure("trace.delivered_pct", "%", 100, "high", (DD, 99.6, 100), "bench_trace", {"bench": "delivered"}, "pct"),
    Figure("statsd.count_ns", "ns", None, "low", None, "bench_statsd", {"bench": "statsd", "what": "count"}, "ns_per_op"),
    Figure("statsd.distribution_ns", "ns", None, "low", None, "bench_statsd", {"bench": "statsd", "what": "distribution"}, "ns_per_op"),
    Figure("statsd.line_ns", "ns", None, "low", None, "bench_statsd", {"bench": "statsd", "what": "count_line"}, "ns_per_op"),
    Figure("profiler.cpu_pct", "%", 0.5, "low", ("eBPF profilers", 1, 1), "bench_profiler", {"bench": "profiler_cpu", "what": "cpu"}, "cpu_pct"),
    Figure("profiler.all_pct", "%", None, "low", None, "bench_profiler", {"bench": "profiler_cpu", "what": "all"}, "cpu_pct"),
    Figure("profiler.malloc_pair_ns", "ns", 6, "low", ("libdatadog", 5, 6), "bench_profiler", {"bench": "profiler_pairs", "what": "malloc"}, "added_ns"),
    Figure("profiler.lock_pair_ns", "ns", 4, "low", None, "bench_profiler", {"bench": "profiler_pairs", "what": "lock"}, "added_ns"),
    Figure("profiler.at100_pct", "%", None, "low", None, "peers", {"bench": "peers", "what": "sonde"}, "cost_pct"),
    Figure("profiler.at100_perf_events_pct", "%", None, "low", None, "peers", {"bench": "peers", "what": "sonde_perf"}, "cost_pct"),
    Figure("profiler.at100_gperftools_pct", "%", None, "low", None, "peers", {"bench": "peers", "what": "gperftools"}, "cost_pct"),
    Figure("profiler.at100_perf_record_pct", "%", None, "low", None, "peers", {"bench": "peers", "what": "perf"}, "cost_pct"),
    Figure("profiler.samples", "% of due", None, "high", None, "peers", {"bench": "peers", "what": "sonde"}, "samples_pct"),
    Figure("profiler.samples_perf_events", "% of due", None, "high", None, "peers", {"bench": "peers", "what": "sonde_perf"}, "samples_pct"),
    Figure("profiler.samples_gperftools", "% of due", None, "high", None, "peers", {"bench": "peers", "what": "gperftools"}, "samples_pct"),
    Figure("profiler.samples_perf_record", "% of due", None, "high", None, "peers", {"bench": "peers", "what": "perf"}, "samples_pct"),
    Figure("profiler.malloc_pair_tcmalloc_ns", "ns", None, "low", None, "peers", {"bench": "heap_peers", "what": "tcmalloc"}, "added_ns"),
    Figure("profiler.malloc_pair_jemalloc_ns", "ns", None, "low", None, "peers", {"bench": "heap_peers", "what": "jemalloc"}, "added_ns"),
    Figure("profiler.memory_mib", "MiB", 8, "low", ("OTel eBPF limit", 250, 250), "peers", {"bench": "profiler_memory", "what": "timer"}, "mib"),
    Figure("profiler.memory_perf_events_mib", "MiB", None, "low", None, "peers", {"bench": "profiler_memory", "what": "perf"}, "mib"),
    Figure("profiler.frame_ns", "ns", 40, "low", ("libgcc", 105, 105), "bench_unwind", {"bench": "unwind"}, "ns_per_frame"),
    Figure("profiler.tables_kib", "KiB", None, "low", None, "bench_unwind", {"bench": "unwind_tables"}, "kib"),
    Figure("agent.spans_per_s", "spans/CPU s", 400000, "high", ("trace-agent", 58000, 58000), "bench_agent_load", {"bench": "agent_speed"}, "spans_per_cpu_s"),
    Figure("agent.otlp_spans_per_s", "spans/CPU s", 300000, "high", None, "bench_otlp", {"bench": "otlp"}, "spans_per_cpu_s"),
    Figure("agent.large_x", "x small", 1.5, "low", None, "bench_agent_load", {"bench": "agent_large"}, "of_small"),
    Figure("agent.answer_p99_ms", "ms", 5, "low", None, "bench_agent_load", {"bench": "agent_answers"}, "p99_ms"),
    Figure("agent.idle_mib", "MiB", 8, "low", ("Datadog agent", 178, 178), "bench_agent_load", {"bench": "agent_idle"}, "mib"),
    Figure("agent.loaded_mib", "MiB", 32, "low", None, "bench_agent_load", {"bench": "agent_loaded"}, "mib"),
    Figure("agent.cap_mib", "MiB", 64, "low", None, "bench_agent_load", {"bench": "agent_stalled"}, "mib"),
    Figure("agent.binary_mib", "MB", 3, "low", None, "sizes", {"bench": "size", "what": "sonde without dashboards"}, "mb"),
    Figure("sonde.binary_mib", "MB", None, "low", None, "sizes", {"bench": "size", "what": "sonde"}, "mb"),
    Figure("trace.library_mib", "MB", None, "low", None, "sizes", {"bench": "size", "what": "libsonde-trace.so"}, "mb"),
    Figure("intake.spans_per_s", "spans/CPU s", 300000, "high", None, "bench_intake", {"bench": "intake"}, "spans_per_cpu_s"),
]


def command_output(*args):
    try:
        return subprocess.run(args, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def machine():
    model = ""
    with open("/proc/cpuinfo", encoding="utf-8") as f:
        for line in f:
            if line.startswith("model name"):
                model = line.split(":", 1)[1].strip()
                break
    return f"{model}, {os.cpu_count()} cores, Linux {platform.release()}, {command_output('gcc', '-dumpfullversion')}, " \
           f"commit {command_output('git', 'rev-parse', '--short', 'HEAD')}"


def stripped_mb(path):
    with tempfile.NamedTemporaryFile() as out:
        subprocess.run(["strip", "-o", out.name, path], check=True)
        return os.path.getsize(out.name) / 1e6


def sizes(build_dir, progress):
    """Sizes of what is installed, stripped; the agent alone is built without the dashboards for it."""
    progress("sonde without dashboards")
    alone = os.path.join(build_dir, "bench-agent-alone")
    configure = ["cmake", "-S", ".", "-B", alone, "-G", "Ninja", "-DCMAKE_BUILD_TYPE=RelWithDebInfo"]
    configure += [f"-DSONDE_BUILD_{part}=OFF" for part in ("DASHBOARDS", "TESTS", "BENCH", "EXAMPLES")]
    for command in (configure, ["cmake", "--build", alone, "--target", "sonde"]):
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return [{"bench": "size", "what": what, "mb": stripped_mb(path)} for what, path in (
        ("sonde without dashboards", os.path.join(alone, "bin/sonde")),
        ("sonde", os.path.join(build_dir, "bin/sonde")),
        ("libsonde-trace.so", os.path.join(build_dir, "lib/libsonde-trace.so")))]


def run_program(build_dir, program, runs, progress):
    """The JSON lines of `runs` runs of one program."""
    if program == "sizes":
        return sizes(build_dir, progress)
    if program == "peers":
        return peers(build_dir, progress)
    path = os.path.join(build_dir, "bin", program)
    lines = []
    for n in range(runs):
        progress(f"{program} {n + 1}/{runs}")
        done = subprocess.run([path], capture_output=True, text=True)
        if done.returncode != 0:
            sys.exit(f"{program} failed with {done.returncode}: {done.stderr.strip()[-500:]}")
        lines += [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]
    return lines


def values(lines, figure):
    return [line[figure.field] for line in lines
            if all(line.get(k) == v for k, v in figure.match.items()) and line.get(figure.field) is not None]


def why_absent(lines, figure):
    """What a program says of a figure it could not take; None: nothing."""
    return next((line["absent"] for line in lines if "absent" in line and all(line.get(k) == v for k, v in figure.match.items())), None)


def measure(figure, got):
    value = statistics.median(got)
    ok = True
    if figure.target is not None:
        ok = value <= figure.target if figure.better == "low" else value >= figure.target
    row = {"key": figure.key, "value": value, "low": min(got), "high": max(got), "runs": len(got), "unit": figure.unit,
           "target": figure.target, "ok": ok, "rival": None, "rival_value": None, "ratio": None}
    if figure.rival:
        name, low, high = figure.rival
        row["rival"], row["rival_value"] = name, low if low == high else [low, high]
        best = low if figure.better == "low" else high
        if best and value:
            row["ratio"] = round(best / value if figure.better == "low" else value / best, 2)
    return row


def number(v):
    if v == int(v) and abs(v) < 1e15:
        return f"{int(v):,}".replace(",", " ")
    return f"{v:.2f}" if abs(v) < 10 else f"{v:,.1f}".replace(",", " ")


def print_table(rows):
    print(f"{'key':32} {'value':>12} {'(low .. high)':>24} {'unit':10} {'target':>10}         rival; how many times better we are")
    for r in rows:
        mark = "" if r["target"] is None else "ok" if r["ok"] else "MISSED"
        target = "" if r["target"] is None else number(r["target"])
        spread = f"({number(r['low'])} .. {number(r['high'])})"
        rival = ""
        if r["rival"]:
            v = r["rival_value"]
            shown = number(v) if not isinstance(v, list) else f"{number(v[0])}-{number(v[1])}"
            rival = f"{r['rival']} {shown}" + (f"; {r['ratio']} x" if r["ratio"] else "")
        print(f"{r['key']:32} {number(r['value']):>12} {spread:>24} {r['unit']:10} {target:>10} {mark:7} {rival}".rstrip())


def main():
    parser = argparse.ArgumentParser(prog="./dev bench", description="figures against their targets")
    parser.add_argument("--build-dir", default="build/release", help=argparse.SUPPRESS)
    parser.add_argument("--json", action="store_true", help="print a JSON array instead of a table")
    parser.add_argument("--runs", type=int, default=5, help="runs of each program (default 5)")
    parser.add_argument("keys", nargs="*", help="only keys that start so, e.g. trace.")
    args = parser.parse_args()

    def wanted(figure):
        return not args.keys or any(figure.key.startswith(k) for k in args.keys)

    def progress(text):
        if sys.stderr.isatty():
            print(f"\r\x1b[K{text}", end="", file=sys.stderr, flush=True)

    rows, missing = [], []
    figures = [f for f in FIGURES if wanted(f)]
    if not figures:
        sys.exit(f"no key starts with {' or '.join(args.keys)}; there are: {' '.join(f.key for f in FIGURES)}")
    for program in dict.fromkeys(f.program for f in figures):
        lines = run_program(args.build_dir, program, args.runs, progress)
        for figure in (f for f in figures if f.program == program):
            got = values(lines, figure)
            if got:
                rows.append(measure(figure, got))
            else:
                missing.append((figure.key, why_absent(lines, figure) or "not measured on this machine"))
    progress("")
    if args.json:
        json.dump(rows, sys.stdout, indent=1)
        print()
    else:
        print(f"{machine()}; median of {args.runs} runs\n")
        print_table(rows)
    for key, why in missing:
        print(f"{key:32} {why:>12}", file=sys.stderr if args.json else sys.stdout)


if __name__ == "__main__":
    main()
