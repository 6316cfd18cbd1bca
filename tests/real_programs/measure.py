#!/usr/bin/env python3
"""measure - the share of stacks that can be followed to the first function of their thread, in real programs under load.

    measure.py --preload LIBRARY [--seconds 20] [--at-least 0.999] [PROGRAM...]

PROGRAM is one of python3, redis-server, nginx, postgres; those that are not installed are skipped and named.  Ends with 1 when a share
is below --at-least, 77 when no program is there.
"""
import argparse
import glob
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

PYTHON_LOAD = """
import json, re, sys, time, zlib
end = time.time() + float(sys.argv[1])
n = 0
while time.time() < end:
    text = json.dumps([{"a": i, "b": str(i) * 3} for i in range(300)])
    n += len(re.findall('[0-9]+1', text)) + len(zlib.compress(text.encode()))
    sorted(json.loads(text), key=lambda d: d["b"])
"""
NGINX = """
daemon off; master_process on; worker_processes 2; pid {dir}/pid; error_log {dir}/error.log;
events {{ worker_connections 128; }}
http {{ access_log {dir}/access.log; gzip on; gzip_min_length 1; server {{ listen 127.0.0.1:{port}; root {dir}; }} }}
"""


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def wait_for(port):
    while True:
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return
        except OSError:
            time.sleep(0.05)


def quiet(*command, **more):
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **more)


def python3(env, folder, seconds):
    quiet(real_python(), "-c", PYTHON_LOAD, str(seconds), env=env)


def redis(env, folder, seconds):
    port = free_port()
    server = subprocess.Popen(["redis-server", "--port", str(port), "--save", "", "--dir", folder, "--daemonize", "no"],
                              env=env, stdout=subprocess.DEVNULL)
    wait_for(port)
    end = time.time() + seconds
    while time.time() < end:
        quiet("redis-benchmark", "-p", str(port), "-n", "20000", "-q", "-t", "set,get,lpush,lrange_100,zadd,mset", "-d", "100")
    server.send_signal(signal.SIGTERM)
    server.wait()


def nginx(env, folder, seconds):
    port = free_port()
    with open(os.path.join(folder, "conf"), "w") as f:
        f.write(NGINX.format(dir=folder, port=port))
    with open(os.path.join(folder, "index.html"), "w") as f:
        f.write("<p>hello</p>\n" * 2000)
    os.chmod(folder, 0o755)
    server = subprocess.Popen(["nginx", "-c", os.path.join(folder, "conf"), "-p", folder], env=env, stderr=subprocess.DEVNULL)
    wait_for(port)
    end = time.time() + seconds
    while time.time() < end:
        quiet("ab", "-n", "20000", "-c", "8", "-k", "-H", "Accept-Encoding: gzip", f"http://127.0.0.1:{port}/index.html")
    server.send_signal(signal.SIGTERM)
    server.wait()


def postgres(env, folder, seconds):
    """Refuses to run as root: as nobody then."""
    port = free_port()
    data = os.path.join(folder, "data")
    home = os.path.dirname(os.path.realpath(shutil.which("postgres")))
    as_user = {"user": "nobody", "group": "nogroup"} if os.geteuid() == 0 else {}
    os.chmod(folder, 0o777)
    quiet(os.path.join(home, "initdb"), "-D", data, "-U", "u", "-A", "trust", cwd=folder, **as_user)
    server = subprocess.Popen([os.path.join(home, "postgres"), "-D", data, "-p", str(port), "-k", folder, "-h", "127.0.0.1"],
                              env=env, cwd=folder, stderr=subprocess.DEVNULL, **as_user)
    wait_for(port)
    where = ["-h", "127.0.0.1", "-p", str(port), "-U", "u", "postgres"]
    while subprocess.run(["psql", "-c", "select 1", *where], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
        time.sleep(0.1)
    quiet("pgbench", "-i", "-s", "2", *where)
    quiet("pgbench", "-c", "4", "-T", str(int(seconds)), *where)
    server.send_signal(signal.SIGINT)
    server.wait()


def real_python():
    """Not a script that starts it."""
    return os.path.realpath(sys.executable)


PROGRAMS = {"python3": (python3, []), "redis-server": (redis, ["redis-server", "redis-benchmark"]),
            "nginx": (nginx, ["nginx", "ab"]), "postgres": (postgres, ["postgres", "pgbench"])}


def run(program, preload, seconds):
    with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryDirectory() as out:
        os.chmod(out, 0o777)
        env = {**os.environ, "LD_PRELOAD": preload, "SONDE_UNWIND_SHARE": os.path.join(out, "share")}
        PROGRAMS[program][0](env, folder, seconds)
        total, ends, broken = {"cpu": 0, "wall": 0}, {}, []
        for path in glob.glob(os.path.join(out, "share.*")):
            with open(path) as f:
                report = json.load(f)
            for kind in total:
                total[kind] += sum(report[kind].values())
                for name, n in report[kind].items():
                    ends[name] = ends.get(name, 0) + n
            broken += report["broken"]
    return total, ends, broken


parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("--preload", required=True)
parser.add_argument("--seconds", type=float, default=20)
parser.add_argument("--at-least", type=float, default=0.999)
parser.add_argument("programs", nargs="*", default=list(PROGRAMS))
args = parser.parse_args()
preload = os.path.abspath(args.preload)
measured, bad = 0, 0
for program in args.programs:
    missing = [tool for tool in PROGRAMS[program][1] if not shutil.which(tool)]
    if missing:
        print(f"skipped: {program}, {missing[0]} is not installed")
        continue
    total, ends, broken = run(program, preload, args.seconds)
    samples = sum(ends.values())
    followed = ends.get("complete", 0) + ends.get("truncated", 0)
    share = followed / samples if samples else 0
    measured += 1
    bad += share < args.at_least
    print(f"{program}: {share * 100:.3f} % of {samples} samples ({total['cpu']} CPU, {total['wall']} wall) followed to the end; "
          f"{ {name: n for name, n in ends.items() if n} }")
    for stack in broken[:5]:
        print("   ", stack)
sys.exit(1 if bad else 0 if measured else 77)
