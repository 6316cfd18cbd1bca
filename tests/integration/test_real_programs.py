"""Programs that were not written for us do under the profiler, all engines at a high rate, what they do without: python3, node,
redis-server, nginx, PostgreSQL.

Each runs a smoke test of its own twice; what it says, writes and returns is compared, and its processes left profiles.  Those that
are not installed are skipped (`./dev test` installs Debian's).  SONDE_SOAK=1: Python's own tests, too.
"""

import hashlib
import http.client
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, sys.path[0] + "/../support")
from stack import BUILD_DIR, PATIENCE_S, SOAK, free_port, wait_until
from test_profiler_storm import FASTEST

HERE = Path(__file__).resolve().parent.parent / "real_programs"
ENGINES = {**FASTEST, "DD_PROFILING_ENABLED": "true", "DD_PROFILING_DO_EXPORT": "false", "SONDE_PROFILING_CRASH_GUARD": "false",
           "SONDE_PROFILING_LOCK_KINDS": "mutex,rwlock,sem,spin,cond"}
NGINX = """
daemon off; master_process on; worker_processes 2; pid {dir}/pid; error_log {dir}/error.log notice;
events {{ worker_connections 128; }}
http {{
    access_log off; gzip on; gzip_min_length 1; gzip_types *; client_body_temp_path {dir}/body; proxy_temp_path {dir}/proxy;
    fastcgi_temp_path {dir}/fastcgi; uwsgi_temp_path {dir}/uwsgi; scgi_temp_path {dir}/scgi; proxy_cache_path {dir}/cache keys_zone=c:1m;
    server {{ listen 127.0.0.1:{port}; root {dir}/www; ssi on; location /through/ {{ proxy_pass http://127.0.0.1:{port}/; proxy_cache c; }}
              location /gone {{ return 410; }} location ~ ^/number/([0-9]+)$ {{ rewrite ^ /page.html break; }} }}
}}
"""
REDIS = """
FLUSHALL
EVAL "for i = 1, 20000 do redis.call('SET', 'key:' .. i, string.rep('v', i % 100)) end return redis.call('DBSIZE')" 0
EVAL "for i = 1, 5000 do redis.call('ZADD', 'z', i * 7919 % 5000, i); redis.call('HSET', 'h', i, i * 3); redis.call('RPUSH', 'l', i) end return 1" 0
ZRANGEBYSCORE z 100 110
SORT l DESC LIMIT 0 5
MULTI
INCRBY counter 7
APPEND key:1 more
EXEC
PFADD hyper a b c d
PFCOUNT hyper
SETBIT bits 700 1
BITCOUNT bits
GEOADD places 13.36 38.11 palermo 15.08 37.50 catania
GEODIST places palermo catania km
XADD stream 1-1 field value
XRANGE stream - +
LPOS l 4321
EXPIRE key:2 100000
PERSIST key:2
DEBUG RELOAD
DEBUG STRINGMATCH-LEN 5000 *a*b*c*
OBJECT ENCODING h
WRONGCOMMAND
DEBUG DIGEST
"""


def environment(folder=None):
    """With a folder for profiles: profiled."""
    env = {k: v for k, v in os.environ.items() if not k.startswith(("DD_", "SONDE_", "LD_PRELOAD"))}
    if folder:
        env |= {**ENGINES, "LD_PRELOAD": str(Path(BUILD_DIR).resolve() / "lib/libsonde-profiler.so"), "DD_PROFILING_OUTPUT_PPROF": f"{folder}/profile"}
    return env


def run(command, env, **more):
    return subprocess.run([str(c) for c in command], env=env, capture_output=True, text=True, timeout=600, check=False, **more)


def answers(what, condition):
    wait_until(what, condition, PATIENCE_S)


class RealPrograms(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="sonde-real-"))
        self.addCleanup(shutil.rmtree, self.folder, ignore_errors=True)
        self.addCleanup(os.umask, os.umask(0o022))  # servers that root starts read as somebody else
        self.folder.chmod(0o777)
        self.maxDiff = None

    def need(self, *programs):
        for program in programs:
            if not shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin"):
                self.skipTest(f"{program} is not installed")

    def compare(self, smoke, at_least):
        """smoke(env, folder) twice; of so many processes there must be profiles."""
        results = []
        for with_profiler in False, True:
            folder = self.folder / ("profiled" if with_profiler else "alone")
            folder.mkdir()
            folder.chmod(0o777)
            results.append(smoke(environment(folder if with_profiler else None), folder))
        self.assertEqual(results[0], results[1])
        processes = {p.name.split(".")[1] for p in (self.folder / "profiled").glob("profile.*")}
        self.assertGreaterEqual(len(processes), at_least, f"processes with profiles: {processes}")
        return results[0]

    def server(self, command, env, folder, **more):
        log = open(folder / "server.log", "w")
        self.addCleanup(log.close)
        server = subprocess.Popen([str(c) for c in command], env=env, stdout=log, stderr=log, cwd=folder, **more)
        self.addCleanup(lambda: server.poll() is None and server.kill())
        return server

    def ends(self, server, number, status=0):
        server.send_signal(number)
        self.assertEqual(server.wait(PATIENCE_S), status)

    # -- interpreters -------------------------------------------------------------------------------------------

    def test_python(self):
        python = os.path.realpath(sys.executable)  # not a script that starts it

        def smoke(env, folder):
            done = run([python, HERE / "smoke.py"], env, cwd=folder)
            return done.returncode, done.stdout, done.stderr
        status, out, err = self.compare(smoke, 5)
        self.assertEqual((status, err), (0, ""))
        self.assertIn("signals", out)

    def test_python_by_its_own_tests(self):
        python = os.path.realpath(sys.executable)
        wanted = ["test_json", "test_fork1", "test_signal"]
        if not SOAK:
            self.skipTest("SONDE_SOAK=1 asks for it")
        if run([python, "-c", "import test.test_json, test.test_signal"], environment()).returncode:
            self.skipTest("Python's own tests are not installed (Debian: libpython3-testsuite)")

        def smoke(env, folder):
            done = run([python, "-m", "test", "-q", *wanted], env, cwd=folder)
            return done.returncode, re.findall(r"test_\w+ (?:failed|skipped|crashed|run no tests)[^\n]*", done.stdout)
        self.assertEqual(self.compare(smoke, 1)[0], 0)

    def test_node(self):
        self.need("node")

        def smoke(env, folder):
            done = run(["node", HERE / "smoke.js"], env, cwd=folder)
            return done.returncode, done.stdout, done.stderr
        status, out, err = self.compare(smoke, 4)
        self.assertEqual((status, err), (3, ""))
        self.assertIn("signal 20\n", out)

    # -- servers ------------------------------------------------------------------------------------------------

    def test_redis(self):
        self.need("redis-server", "redis-cli")

        def smoke(env, folder):
            port = free_port()
            cli = ["redis-cli", "-p", port]
            command = ["redis-server", "--port", port, "--dir", folder, "--enable-debug-command", "yes", "--appendonly", "yes",
                       "--io-threads", "2", "--lazyfree-lazy-user-flush", "yes"]
            said = []
            for _ in range(2):  # the second time it reads what the first one left
                server = self.server(command, env, folder)
                answers("redis answers", lambda: run([*cli, "PING"], environment()).stdout == "PONG\n")
                said.append(run([*cli, "DBSIZE"], environment()).stdout)
                said.append(run(cli, environment(), input=REDIS).stdout)
                for child in "BGSAVE", "BGREWRITEAOF":  # forks
                    run([*cli, child], environment())
                    answers(child, lambda: "_in_progress:1" not in "".join(
                        line for line in run([*cli, "INFO", "persistence"], environment()).stdout.splitlines()
                        if line.startswith(("rdb_bgsave_in", "aof_rewrite_in"))))
                state = run([*cli, "INFO", "persistence"], environment()).stdout
                said.append(re.findall(r"(?:rdb_last_bgsave|aof_last_bgrewrite)_status:(\w+)", state))
                said.append(run(["redis-benchmark", "-p", port, "-n", 500, "-q", "-t", "set,get,lpush,zadd", "-d", 100], environment()).returncode)
                self.ends(server, signal.SIGTERM)
            return said, run(["redis-check-rdb", folder / "dump.rdb"], environment()).returncode
        said, check = self.compare(smoke, 2)
        self.assertEqual((said[2], check), (["ok", "ok"], 0))
        self.assertRegex(said[1], r"\n[0-9a-f]{40}\n")  # the digest of all that was stored

    def test_nginx(self):
        self.need("nginx")
        nginx = shutil.which("nginx", path=os.environ["PATH"] + ":/usr/sbin")

        def fetch(port):
            seen = []
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE_S)
            for path in ["/page.html", "/through/page.html", "/gone", "/missing", "/number/7", "/big"] * 20:
                connection.request("GET", path, headers={"Accept-Encoding": "gzip" if len(seen) % 2 else "identity"})
                answer = connection.getresponse()
                seen.append((path, answer.status, hashlib.md5(answer.read()).hexdigest()))
            connection.request("GET", "/big", headers={"Range": "bytes=100-199"})
            seen.append(connection.getresponse().read())
            connection.close()
            return seen

        def smoke(env, folder):
            port = free_port()
            (folder / "www").mkdir()
            (folder / "www/page.html").write_text('<p>hello</p>\n' * 500 + '<!--#include virtual="/part.html" -->')
            (folder / "www/part.html").write_text("a part\n")
            (folder / "www/big").write_bytes(bytes(i * 31 % 251 for i in range(1 << 20)))
            (folder / "conf").write_text(NGINX.format(dir=folder, port=port))
            command = [nginx, "-c", folder / "conf", "-p", folder, "-e", folder / "error.log"]
            good = run([*command, "-t"], env).returncode
            server = self.server(command, env, folder)
            answers("nginx answers", lambda: (folder / "pid").exists() and self.is_open(port))
            seen = [fetch(port)]
            server.send_signal(signal.SIGHUP)  # new workers, the old ones end
            answers("nginx reloads", lambda: "gracefully shutting down" in (folder / "error.log").read_text())
            seen.append(fetch(port))
            self.ends(server, signal.SIGQUIT)
            log = (folder / "error.log").read_text()
            return good, seen, re.findall(r"\[(?:alert|crit|emerg)\].*|exited on signal.*", log)
        good, seen, alarms = self.compare(smoke, 3)
        self.assertEqual((good, alarms), (0, []))
        self.assertEqual([status for _, status, _ in seen[0][:6]], [200, 200, 410, 404, 200, 200])

    def is_open(self, port):
        try:
            socket.create_connection(("127.0.0.1", port)).close()
            return True
        except OSError:
            return False

    def test_postgres(self):
        homes = sorted(Path("/usr/lib/postgresql").glob("*/bin")) or [Path(p).resolve().parent for p in [shutil.which("initdb")] if p]
        self.need("psql")
        if not homes:
            self.skipTest("postgres is not installed")
        home = homes[-1]
        as_user = {"user": "nobody", "group": "nogroup"} if os.geteuid() == 0 else {}  # it refuses to run as root

        def smoke(env, folder):
            port, data = free_port(), folder / "data"
            where = ["-h", "127.0.0.1", "-p", port, "-U", "u", "-d", "postgres"]
            made = run([home / "initdb", "-D", data, "-U", "u", "-A", "trust", "--no-sync"], env, cwd=folder, **as_user)
            self.assertEqual(made.returncode, 0, made.stderr)
            server = self.server([home / "postgres", "-D", data, "-p", port, "-k", "", "-h", "127.0.0.1", "-c", "fsync=off"], env, folder, **as_user)
            ask = ["psql", "-X", "-q", *where]
            answers("postgres answers", lambda: run([*ask, "-c", "select 1"], environment()).returncode == 0)
            said = run([*ask, "-a", "-f", HERE / "smoke.sql"], env)  # psql profiled too
            crowd = [subprocess.Popen([*map(str, ask), "-Atc", f"select sum(i) from generate_series(1, {n}) i"], env=environment(),
                                      stdout=subprocess.PIPE, text=True) for n in range(1000, 1020)]
            sums = [p.communicate(timeout=600)[0] for p in crowd]
            self.ends(server, signal.SIGTERM)
            log = (folder / "server.log").read_text()
            return said.returncode, said.stdout, said.stderr, sums, re.findall(r"PANIC.*|terminated by signal.*|was terminated.*|TRAP.*", log)
        status, out, err, sums, alarms = self.compare(smoke, 5)
        self.assertEqual((status, alarms), (0, []))
        self.assertEqual(sums[0], "500500\n")
        self.assertIn("division by zero", err)
        self.assertIn("canceling statement due to statement timeout", err)


if __name__ == "__main__":
    unittest.main(verbosity=2)
