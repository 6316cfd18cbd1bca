"""peers.py - our profiler beside others on the same work, and its memory in a program of some size; report.py runs it.

CPU: `bench_profiler busy` at 100 samples a second, LONG loops and SHORT ones, under each profiler in turns.  What counts is the CPU time
(user and system) of the program and all it starts, so that `perf record`'s own process is in; the short run is taken off, so that
beginning and end are not.  Figures are medians of the rounds, each beside the bare run of its own round; who is first changes.

Heap: a pair of malloc(64) and free() of an allocator that samples every 512 KiB, less the pair of the same one that does not.

Memory: 16 threads in a program that has loaded about 20 MiB of text, libraries of the system until it is so much; what the profiler
adds to its proportional set size.  That is what the machine would have free without it: pages of unwind information that only the
profiler looks at are in, pages other programs have too count in part.
"""
import json
import os
import re
import shutil
import statistics
import struct
import subprocess
import tempfile

HZ = 100
LONG, SHORT = 96, 8
ROUNDS = 7
HEAP_ROUNDS = 7
PAIRS = 5000000
MEMORY_ROUNDS = 3
TEXT_MIB = 20
# Common ones, the biggest first; that they are of several languages makes the unwind information so.
LIBRARIES = ("libz3.so.4", "libpython3.11.so.1.0", "libcrypto.so.3", "librsvg-2.so.2", "libSvtAv1Enc.so.1", "libaom.so.3", "libgtk-3.so.0",
             "libperl.so.5.36", "libsqlite3.so.0", "libstdc++.so.6", "libLLVM-15.so.1", "libLLVM-14.so.1")


def library(name):
    """Where the loader finds it; None: nowhere."""
    out = subprocess.run(["/sbin/ldconfig", "-p"], capture_output=True, text=True).stdout
    found = re.search(rf"^\s*{re.escape(name)}[^\n]*=> (\S+)$", out, re.MULTILINE)
    return found and found.group(1)


class Peer:
    def __init__(self, what, command=(), environment=None, absent=None, samples=None):
        self.what, self.command, self.environment, self.absent, self.samples = what, command, environment or {}, absent, samples


def ours(build_dir, engine):
    return {"LD_PRELOAD": os.path.abspath(os.path.join(build_dir, "lib/libsonde-profiler.so")), "SONDE_PROFILING_CPU_ENGINE": engine,
            "SONDE_PROFILING_CPU_FREQUENCY": str(HZ), "DD_PROFILING_WALLTIME_ENABLED": "false", "DD_PROFILING_ALLOCATION_ENABLED": "false",
            "DD_PROFILING_LOCK_ENABLED": "false", "DD_TRACE_AGENT_URL": "http://127.0.0.1:9", "DD_PROFILING_FLUSH_ON_EXIT": "false",
            "DD_PROFILING_NATIVE_LIBRARY_LOG_LEVEL": "off"}


def counted(pattern):
    def samples(done):
        found = re.search(pattern, done.stderr.decode(errors="replace"))
        return int(found.group(1)) if found else None
    return samples


def told(done):
    return struct.unpack("3Q", done.stdout)[2]


def all_peers(build_dir, folder):
    profiler, perf = library("libprofiler.so.0"), shutil.which("perf")
    return [
        Peer("bare"),
        Peer("sonde", environment=ours(build_dir, "timer"), samples=told),
        Peer("sonde_perf", environment=ours(build_dir, "perf"), samples=told),
        Peer("gperftools", environment={"LD_PRELOAD": profiler or "", "CPUPROFILE": os.path.join(folder, "gperftools"),
                                        "CPUPROFILE_FREQUENCY": str(HZ)},
             absent=None if profiler else "not installed", samples=counted(r"PROFILE: interrupts/evictions/bytes = (\d+)/")),
        Peer("perf", command=[perf, "record", "-e", "cpu-clock", "-F", str(HZ), "-g", "-o", os.path.join(folder, "perf.data"), "--"],
             absent=None if perf else "not installed", samples=counted(r"\((\d+) samples\)")),
    ]


def run(peer, command):
    """CPU seconds of all of it, and samples."""
    process = subprocess.Popen([*peer.command, *command], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                               env={**os.environ, **peer.environment})
    stdout, stderr = process.stdout.read(), process.stderr.read()
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = status
    process.stdout.close()
    process.stderr.close()
    if status != 0:
        return None, None
    done = subprocess.CompletedProcess(command, status, stdout, stderr)
    return used.ru_utime + used.ru_stime, peer.samples(done) if peer.samples else None


def measure_cpu(build_dir, progress):
    program = os.path.join(build_dir, "bin/bench_profiler")
    with tempfile.TemporaryDirectory() as folder:
        peers = all_peers(build_dir, folder)
        cost, samples = {p.what: [] for p in peers}, {p.what: [] for p in peers}
        for n in range(ROUNDS):
            progress(f"peers {n + 1}/{ROUNDS}")
            used = {}
            for peer in peers[n % len(peers):] + peers[:n % len(peers)]:
                if peer.absent:
                    continue
                (long, seen), (short, seen_short) = run(peer, [program, "busy", str(LONG)]), run(peer, [program, "busy", str(SHORT)])
                if long is None or short is None:
                    peer.absent = "does not run here"
                    continue
                used[peer.what] = long - short
                if seen is not None and seen_short is not None:
                    samples[peer.what].append((seen - seen_short) / ((long - short) * HZ) * 100)
            for what, seconds in used.items():
                cost[what].append((seconds / used["bare"] - 1) * 100)
    for peer in peers[1:]:
        line = {"bench": "peers", "what": peer.what}
        if peer.absent:
            yield {**line, "absent": peer.absent}
        else:
            yield {**line, "cost_pct": round(statistics.median(cost[peer.what]), 3), "lowest": round(min(cost[peer.what]), 3),
                   "highest": round(max(cost[peer.what]), 3), "samples_pct": round(statistics.median(samples[peer.what]), 1)}


def pair_ns(program, environment):
    done = subprocess.run([program, "malloc"], capture_output=True, env={**os.environ, **environment})
    return struct.unpack("3Q", done.stdout)[0] / PAIRS if done.returncode == 0 and len(done.stdout) == 24 else None


def measure_heap(build_dir, progress):
    program = os.path.join(build_dir, "bin/bench_profiler")
    for what, name, sampled in (("tcmalloc", "libtcmalloc.so.4", {"TCMALLOC_SAMPLE_PARAMETER": "524288"}),
                                ("jemalloc", "libjemalloc.so.2", {"MALLOC_CONF": "prof:true,lg_prof_sample:19"})):
        path = library(name)
        line = {"bench": "heap_peers", "what": what}
        if not path:
            yield {**line, "absent": "not installed"}
            continue
        asked = subprocess.run(["true"], capture_output=True, text=True, env={**os.environ, "LD_PRELOAD": path, **sampled})
        if "Invalid conf" in asked.stderr:
            yield {**line, "absent": "built without profiling"}
            continue
        pairs = []
        for n in range(HEAP_ROUNDS):
            progress(f"{what} {n + 1}/{HEAP_ROUNDS}")
            pairs.append((pair_ns(program, {"LD_PRELOAD": path}), pair_ns(program, {"LD_PRELOAD": path, **sampled})))
        if any(None in pair for pair in pairs):
            yield {**line, "absent": "does not run here"}
        else:
            yield {**line, "added_ns": round(statistics.median(b - a for a, b in pairs), 2),
                   "without_ns": round(statistics.median(a for a, _ in pairs), 2)}


def measure_memory(build_dir, progress):
    command = [os.path.join(build_dir, "bin/bench_profiler"), "memory", str(TEXT_MIB), *LIBRARIES]
    environment = {"LD_PRELOAD": os.path.abspath(os.path.join(build_dir, "lib/libsonde-profiler.so")), "DD_PROFILING_FLUSH_ON_EXIT": "false",
                   "DD_TRACE_AGENT_URL": "http://127.0.0.1:9", "DD_PROFILING_NATIVE_LIBRARY_LOG_LEVEL": "off"}
    for what, more in (("timer", {}), ("perf", {"SONDE_PROFILING_CPU_ENGINE": "perf"})):
        rows = []
        for n in range(MEMORY_ROUNDS):
            progress(f"memory {n + 1}/{MEMORY_ROUNDS}")
            bare, with_it = (json.loads(subprocess.run(command, capture_output=True, text=True, check=True, env={**os.environ, **e}).stdout)
                             for e in ({}, {**environment, **more}))
            rows.append({key: (with_it[key] - bare[key]) / 1024 for key in ("pss_kib", "rss_kib", "anonymous_kib")} |
                        {"text_mib": bare["text_mib"]})
        line = {"bench": "profiler_memory", "what": what}
        if rows[0]["text_mib"] < TEXT_MIB:
            yield {**line, "absent": "no libraries of that size"}
        else:
            yield {**line, "mib": round(statistics.median(r["pss_kib"] for r in rows), 2),
                   "rss_mib": round(statistics.median(r["rss_kib"] for r in rows), 2),
                   "anonymous_mib": round(statistics.median(r["anonymous_kib"] for r in rows), 2), "text_mib": rows[0]["text_mib"]}


def peers(build_dir, progress):
    return [*measure_cpu(build_dir, progress), *measure_heap(build_dir, progress), *measure_memory(build_dir, progress)]
