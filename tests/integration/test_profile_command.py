"""`sonde profile` and `sonde run --profile` over a program that tells how its CPU time was split.

The truth is what the program counted of its own thread's CPU time, so the machine's speed and load do not matter. A
kernel that looks at timers 250 times a second gives 1000 samples: a standard deviation is 1.4 points, and ten are
allowed.
"""

import json
import os
import pathlib
import pty
import select
import shutil
import signal
import subprocess
import sys
import tempfile
import termios
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import pprof  # noqa: E402
from profile_intake import ProfileIntake  # noqa: E402
from stack import BUILD_DIR, PATIENCE_S, Stack, wait_until  # noqa: E402

BUILD = pathlib.Path(BUILD_DIR)
SONDE = BUILD / "bin" / "sonde"
PROGRAM = BUILD / "tests" / "profiled_split"
MILLISECONDS = "4000"  # of CPU time
POINTS = 10

LEAVES = ("three_parts", "one_part")


def sonde(*words, env=None, **more):
    return subprocess.run([SONDE, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE_S, text=True,
                          env={**os.environ, **(env or {})}, **more)


def status_as(uid, path):
    """What a process of that user, which is nobody's child, is answered to an empty batch."""
    ask = f"import os, socket\nos.setuid({uid})\ns = socket.socket(socket.AF_UNIX)\ns.connect({path!r})\n" \
          "s.sendall(b'POST /sonde/profiling/v1/batch HTTP/1.1\\r\\nHost: a\\r\\nContent-Length: 0\\r\\n\\r\\n')\n" \
          "print(s.recv(100).split()[1].decode())"
    done = subprocess.run([sys.executable, "-c", ask], stdout=subprocess.PIPE, check=True, timeout=PATIENCE_S)
    return int(done.stdout)


class Profile(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)

    def profile(self, file, *options, program=(PROGRAM, "1500")):
        """The text of the file that was written, and what the program counted."""
        done = sonde("profile", "-o", self.folder / file, *options, "--", *program)
        self.assert_went_well(done, 0)
        return (self.folder / file).read_bytes(), json.loads(done.stdout.splitlines()[-1])

    def assert_went_well(self, done, code):
        """The command complains of nothing; the profiler may, of a machine on which a batch waited too long."""
        self.assertEqual(done.returncode, code, done.stderr)
        self.assertNotIn("sonde profile:", done.stderr)

    def assert_shares(self, by_leaf, truth):
        whole = sum(truth[leaf] for leaf in LEAVES)
        seen = sum(by_leaf.values())
        for leaf in LEAVES:
            self.assertAlmostEqual(100 * by_leaf.get(leaf, 0) / seen, 100 * truth[leaf] / whole, delta=POINTS,
                                   msg=(by_leaf, truth))

    def test_pprof(self):
        data, truth = self.profile("out.pb.gz", "-e", "cpu", "-F", "250", program=(PROGRAM, MILLISECONDS))
        self.assertEqual(data[:2], b"\x1f\x8b")
        p = pprof.read(data)
        self.assertEqual(p.sample_types, [("cpu-samples", "count"), ("cpu-time", "nanoseconds")])
        by_leaf = {}
        for stack, values, labels in p.rows():
            by_leaf[stack[-1]] = by_leaf.get(stack[-1], 0) + values["cpu-time"]
            self.assertEqual(labels["thread name"], "profiled_split")
            if stack[-1] == "one_part":
                self.assertEqual(stack[-3:], ["main", "deep", "one_part"])
        self.assert_shares(by_leaf, truth)

    def test_collapsed(self):
        data, truth = self.profile("out.folded", "-e", "cpu,wall", "-F", "250", program=(PROGRAM, MILLISECONDS))
        by_leaf = {}
        for line in data.decode().splitlines():
            stack, _, value = line.rpartition(" ")
            leaf = stack.split(";")[-1]
            by_leaf[leaf] = by_leaf.get(leaf, 0) + int(value)
        self.assert_shares(by_leaf, truth)

    def test_speedscope(self):
        data, _ = self.profile("out.json", "-t", "cpu-time")
        p = json.loads(data)
        self.assertEqual(p["$schema"], "https://www.speedscope.app/file-format-schema.json")
        frames = p["shared"]["frames"]
        self.assertTrue(all(isinstance(f["name"], str) and f["name"] for f in frames))
        self.assertEqual([q["name"] for q in p["profiles"]], ["cpu-time"])
        for q in p["profiles"]:
            self.assertEqual((q["type"], q["unit"], q["startValue"]), ("sampled", "nanoseconds", 0))
            self.assertEqual(len(q["samples"]), len(q["weights"]))
            self.assertEqual(sum(q["weights"]), q["endValue"])
            for sample, weight in zip(q["samples"], q["weights"]):
                self.assertTrue(sample and all(0 <= i < len(frames) for i in sample), sample)
                self.assertGreater(weight, 0)
        names = [f["name"] for f in frames]
        self.assertIn([names.index("main"), names.index("three_parts")], [s[-2:] for s in p["profiles"][0]["samples"]])

    def test_html(self):
        data, _ = self.profile("out.html", "-e", "cpu")
        text = data.decode()
        self.assertNotRegex(text, r"https?:|src=|@import")
        _, _, rest = text.partition('<script type="application/json" id="profile">')
        page = json.loads(rest.partition("</script>")[0])
        self.assertEqual([f["type"] for f in page["flames"]], ["cpu-time"])
        f = page["flames"][0]
        self.assertEqual(len({len(f[key]) for key in ("up", "frame", "inlined", "self")}), 1)
        self.assertTrue(all(up < node or node == 0 for node, up in enumerate(f["up"])))
        names = [f["texts"][f["names"][frame]] for frame in f["frame"]]
        self.assertGreater(f["self"][names.index("three_parts")], 0)

    def test_the_table_and_the_exit_code(self):
        done = sonde("profile", "-e", "cpu", "--", PROGRAM, "1500", "7")
        self.assert_went_well(done, 7)
        lines = done.stdout.splitlines()
        self.assertTrue(lines[1].startswith("cpu-time: "), lines)
        self.assertTrue(any("three_parts" in line for line in lines), lines)

    def test_a_shell_and_its_children_have_a_root_each(self):
        data, _ = self.profile("out.folded", "-e", "cpu",
                               program=("sh", "-c", f"{PROGRAM} 1500 >/dev/null; {PROGRAM} 1500"))
        roots = {line.split(";")[0] for line in data.decode().splitlines() if "three_parts" in line}
        self.assertEqual(len(roots), 2, roots)
        self.assertTrue(all(root.startswith("profiled_split (") and root.endswith(")") for root in roots), roots)

    def test_each_of_several_children_of_one_process_is_in_it(self):
        out, events = self.folder / "out.folded", self.folder / "events"
        events.mkdir()
        done = sonde("profile", "-e", "cpu", "-o", out, "--", PROGRAM, "1000", "0", "3", env={"DD_PROFILING_OUTPUT_DIR": str(events)})
        self.assertEqual(done.returncode, 0, done.stderr)
        roots = {line.split(";")[0] for line in out.read_text().splitlines() if "three_parts" in line}
        self.assertEqual(len(roots), 3, out.read_text())
        ids = {}
        for event in events.glob("*/event.json"):
            tags = dict(tag.split(":", 1) for tag in json.loads(event.read_text())["tags_profiler"].split(","))
            ids.setdefault(tags["process_id"], set()).add(tags["runtime-id"])
        self.assertEqual(len(ids), 4, ids)
        self.assertTrue(all(len(of_one) == 1 for of_one in ids.values()), ids)
        self.assertEqual(len(set.union(*ids.values())), 4, ids)

    @unittest.skipUnless(os.geteuid() == 0, "only root can become another user")
    def test_a_child_that_becomes_another_user_is_in_it_and_strangers_are_not(self):
        """As a server's workers do; the socket is found by others, too, and refuses what they send."""
        worker = "import os, time\nif os.fork() == 0:\n" \
                 " os.setgroups([]); os.setgid(65534); os.setuid(65534)\n" \
                 " while time.process_time() < 1: sum(range(1000))\n" \
                 "else:\n print(os.environ['DD_PROFILING_URL'], flush=True); os.wait(); input()"
        out = self.folder / "out.folded"
        with subprocess.Popen([SONDE, "profile", "-e", "cpu", "-o", out, "--", sys.executable, "-c", worker], text=True,
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as command:
            path = command.stdout.readline().strip().removeprefix("unix://")
            self.assertEqual(status_as(0, path), 400)
            self.assertEqual(status_as(65534, path), 403)
            _, said = command.communicate("\n", timeout=PATIENCE_S)
        self.assertIn("1 batches were refused: of other users' processes", said)
        self.assertEqual(command.returncode, 0, said)
        in_child = [line for line in out.read_text().splitlines() if "sum" in line]
        self.assertTrue(in_child, out.read_text())

    def test_a_program_killed_by_a_signal(self):
        done = sonde("profile", "--", "sh", "-c", "kill -9 $$")
        self.assertEqual(done.returncode, 128 + signal.SIGKILL)

    def test_after_the_duration_the_program_is_asked_to_end(self):
        done = sonde("profile", "-d", "5", "-e", "cpu", "--", PROGRAM, "1000000")
        self.assert_went_well(done, 128 + signal.SIGTERM)
        self.assertIn("three_parts", done.stdout)

    def test_traces_go_where_they_went(self):
        done = sonde("profile", "-o", "/dev/null", "-f", "folded", "--", "env",
                     env={"DD_TRACE_AGENT_URL": "http://127.0.0.1:9", "LD_PRELOAD": ""})
        env = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
        self.assertEqual(env["DD_TRACE_AGENT_URL"], "http://127.0.0.1:9")
        self.assertTrue(env["DD_PROFILING_URL"].startswith("unix:///"))
        self.assertEqual(pathlib.Path(env["LD_PRELOAD"]).name.split(".so")[0], "libsonde-profiler")
        self.assertFalse(pathlib.Path(env["DD_PROFILING_URL"][len("unix://"):]).parent.exists())

    def test_programs_that_are_executed_are_followed_unless_told_otherwise(self):
        library = str(BUILD / "lib" / "libsonde-profiler.so")
        other = str(BUILD / "lib" / "libsonde-trace.so")
        for before, follows, after in ((library, "1", library), (library, "0", ""), (f"{other}:{library}", "0", other),
                                       (f"{library} {other}", "0", other), (f"{other}", "0", other)):
            for words in (("env",), ("sh", "-c", "env; true")):  # by exec, by fork and exec
                done = subprocess.run(["sh", "-c", 'exec "$@"', "sh", *words], stdout=subprocess.PIPE, timeout=PATIENCE_S, text=True, env={
                    **os.environ, "LD_PRELOAD": before, "DD_PROFILING_DO_EXPORT": "0", "DD_TRACE_ENABLED": "0",
                    "DD_PROFILING_NATIVE_ALLOCATION_PROFILING_FOLLOW_EXECS": follows})
                env = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
                self.assertEqual((done.returncode, env.get("LD_PRELOAD", "")), (0, after), (before, follows, words))

    def test_what_is_preloaded_already_stays(self):
        done = sonde("run", "--profile", "--", "env", env={"LD_PRELOAD": str(BUILD / "lib" / "libsonde-trace.so")})
        env = dict(line.split("=", 1) for line in done.stdout.splitlines() if "=" in line)
        first, second = env["LD_PRELOAD"].split(":")
        self.assertIn("libsonde-profiler", first)
        self.assertTrue(second.endswith("libsonde-trace.so"))


class Diff(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)
        self.before, self.after = self.folder / "before.folded", self.folder / "after.txt"
        self.before.write_text("main;grows 40\nmain;shrinks 60\nmain;same 100\n")
        self.after.write_text("main;grows 120\nmain;shrinks 80\nmain;same 200\n")

    def test_the_table_of_movers(self):
        """grows: 20 % to 30 %; z = 0.1 / sqrt(p(1 - p)(1/200 + 1/400)), p = 160/600: 2.6."""
        done = sonde("profile", "diff", self.before, self.after)
        self.assertEqual((done.returncode, done.stderr), (0, ""))
        lines = [line.split() for line in done.stdout.splitlines()]
        self.assertEqual(lines[0], ["samples:", "before", "200,", "after", "400"])
        self.assertEqual(lines[2], ["20.0", "%", "30.0", "%", "+10.0", "2.6", "grows"])
        self.assertEqual(lines[3], ["30.0", "%", "20.0", "%", "-10.0", "-2.7", "shrinks"])
        self.assertEqual(len(lines), 4)

    def test_noise_is_marked(self):
        self.after.write_text("main;grows 42\nmain;shrinks 58\nmain;same 100\n")
        done = sonde("profile", "diff", self.before, self.after)
        self.assertEqual([line.split()[6] for line in done.stdout.splitlines()[2:]], ["~", "~"])

    def test_both_values_of_each_stack(self):
        done = sonde("profile", "diff", "-f", "folded", self.before, self.after)
        self.assertEqual(done.stdout, "main;grows 40 120\nmain;shrinks 60 80\nmain;same 100 200\n")
        self.assertEqual(sonde("profile", "diff", "-o", "folded", self.before, self.after).stdout, done.stdout)

    def test_the_page(self):
        out = self.folder / "out.html"
        self.assertEqual(sonde("profile", "diff", "-o", out, self.before, self.after).returncode, 0)
        page = json.loads(out.read_text().partition('id="profile">')[2].partition("</script>")[0])
        self.assertTrue(page["compared"])
        self.assertEqual((page["flames"][0]["self"], page["flames"][0]["after"]), ([0, 0, 40, 60, 100], [0, 0, 120, 80, 200]))

    def test_files_of_two_kinds_are_not_compared(self):
        out = self.folder / "out.pb.gz"
        self.assertEqual(sonde("profile", "-o", out, "-e", "cpu", "-F", "250", "--", PROGRAM, "200").returncode, 0)
        for files in ([out, self.before], [self.before, out]):
            done = sonde("profile", "diff", *files)
            self.assertEqual((done.returncode, done.stdout), (1, ""))
            self.assertIn(f"{self.before} does not say in which libraries", done.stderr)
        self.assertEqual(sonde("profile", "diff", out, out).returncode, 0)

    def test_what_cannot_be_compared(self):
        cases = [([self.before], 2, "expected two files"), ([self.before, "/nowhere"], 1, "No such file"),
                 ([self.before, PROGRAM], 1, "neither a file of pprof"), (["-f", "pprof", self.before, self.after], 2, "format"),
                 (["-n", "x", self.before, self.after], 2, "expected a number")]
        for words, code, text in cases:
            done = sonde("profile", "diff", *words)
            self.assertEqual(done.returncode, code, (words, done.stderr))
            self.assertIn(text, done.stderr)


class Top(unittest.TestCase):
    def test_one_table(self):
        done = sonde("top", "--once", "--", PROGRAM, "1000000")
        self.assertEqual(done.returncode, 128 + signal.SIGTERM, done.stderr)
        lines = done.stdout.splitlines()
        self.assertIn("functions by cpu: ", lines[0])
        self.assertEqual(lines[1], "  self  total    cpu ms/s  alloc MB/s  live MB lock ms/s")
        self.assertIn(lines[2].split()[-2:], [["three_parts", "profiled_split"], ["one_part", "profiled_split"]])

    def test_until_the_program_ends_and_what_it_printed(self):
        with tempfile.TemporaryDirectory() as folder:
            done = sonde("top", "-o", f"{folder}/printed", "--", PROGRAM, "1500", "4")
            self.assertEqual(done.returncode, 4, done.stderr)
            self.assertIn("three_parts", done.stdout)
            printed = pathlib.Path(folder, "printed").read_text()
            self.assertIn("three_parts", json.loads(printed.splitlines()[-1]))

    def test_keys_on_a_terminal(self):
        us, theirs = pty.openpty()
        before = termios.tcgetattr(theirs)
        top = subprocess.Popen([SONDE, "top", "--", PROGRAM, "1000000"], stdin=theirs, stdout=theirs, stderr=theirs,
                               env={**os.environ, "TERM": "xterm"})
        self.addCleanup(os.close, us)
        self.addCleanup(os.close, theirs)
        self.seen = b""
        try:
            self.read_until(us, top, b"functions by cpu")
            for key, text in ((b"t", b"threads by cpu"), (b"w", b"threads by wall"), (b"f", b"functions by wall"),
                              (b"c", b"functions by cpu"), (b"p", b"PAUSED")):
                self.seen = b""
                os.write(us, key)
                self.read_until(us, top, text)
            os.write(us, b"q")
            self.read_until(us, top, b"\x1b[?1049l")  # the page is given back
            self.assertEqual(top.wait(timeout=PATIENCE_S), 128 + signal.SIGTERM)
        finally:
            if top.poll() is None:
                top.terminate()  # which it passes on to the program
                top.wait(timeout=PATIENCE_S)
        self.assertEqual(termios.tcgetattr(theirs), before)

    def read_until(self, fd, process, text):
        def there():
            if select.select([fd], [], [], 0.1)[0]:
                self.seen += os.read(fd, 65536)
            return text in self.seen
        wait_until(lambda: (text, process.poll(), self.seen[-2000:]), there)


class Refusals(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)

    def static_program(self):
        """An ELF file without PT_INTERP: nothing else of it is read."""
        path = self.folder / "static"
        data = bytearray(PROGRAM.read_bytes())
        offset, size, count = (int.from_bytes(data[a:b], "little") for a, b in ((32, 40), (54, 56), (56, 58)))
        for i in range(count):
            at = offset + i * size
            if int.from_bytes(data[at:at + 4], "little") == 3:
                data[at:at + 4] = (0).to_bytes(4, "little")
        path.write_bytes(data)
        path.chmod(0o755)
        return path

    def test_command_lines(self):
        cases = [
            (["profile"], 2, "there is no program"),
            (["profile", "-o", "x.unknown", "--", "true"], 2, "in which format? name the file .html"),
            (["profile", "-e", "", "--", "true"], 2, "nothing is named; there are cpu, wall"),
            (["profile", "--", "no-such-program"], 127, "no-such-program: No such file or directory in PATH"),
            (["profile", "-e", "cpu,time", "--", "true"], 2, 'there is no "time"'),
            (["profile", "-d", "0", "--", "true"], 2, "expected a number of seconds"),
            (["profile", "-t", "cpu", "--", "/nowhere"], 2, "there is no such type; there are cpu-samples, cpu-time, wall"),
            (["profile", "-t", "inuse-space", "-e", "cpu,lock", "--", "/nowhere"], 2, "needs --events heap"),
            (["profile", "-t", "lock-release-wait", "-e", "cpu,lock", "--", "/nowhere"], 127, "No such file"),
            (["profile", "-F", "5000", "--", "true"], 2, "expected a number from 1 to 1000"),
            (["profile", "--", "/nowhere/at-all"], 127, "No such file"),
            (["profile", "--", "/"], 126, "Permission denied"),
            (["profile", "-o", "/nowhere/file.html", "--", "true"], 1, "No such file"),
            (["profile", "-p", "0"], 2, "expected the number of a process"),
            (["profile", "-p", "1", "--", "true"], 2, "not both"),
            (["top", "-p", "2147483647"], 1, "there is no process 2147483647"),
            (["top"], 2, "there is no program"),
            (["top", "-i", "0", "--", "true"], 2, "expected a number from 1"),
            (["run", "--", "true"], 2, "--profile"),
            (["run", "--profile"], 2, "there is no program"),
            (["run", "--profile", "--", "/nowhere/at-all"], 127, "No such file"),
        ]
        for words, code, text in cases:
            done = sonde(*words)
            self.assertEqual(done.returncode, code, (words, done.stderr))
            self.assertIn(text, done.stderr, words)

    def test_a_static_program(self):
        done = sonde("profile", "--", self.static_program())
        self.assertEqual(done.returncode, 1)
        self.assertIn("linked statically", done.stderr)

    def test_a_script_stands_for_its_interpreter(self):
        script = self.folder / "script"
        script.write_text(f"#!{self.static_program()} -x\n")
        script.chmod(0o755)
        done = sonde("profile", "--", script)
        self.assertEqual(done.returncode, 1)
        self.assertIn("linked statically", done.stderr)

    def test_run_runs_it_nevertheless(self):
        script = self.folder / "script"
        script.write_text("#!/bin/sh\nexit 5\n")
        script.chmod(0o755)
        self.assertEqual(sonde("run", "--profile", "--", script).returncode, 5)


class Run(unittest.TestCase):
    def test_profiles_reach_the_intake_under_the_name_that_was_given(self):
        with ProfileIntake() as intake, Stack() as stack:
            stack.start_agent(DD_APM_DD_URL="http://127.0.0.1:9", DD_APM_PROFILING_DD_URL=intake.url,
                              SONDE_AGENT_PROFILING_WINDOW="1")
            done = sonde("run", "--profile", "-S", "shop", "-E", "prod", "-V", "1.2", "--", PROGRAM, "1500", "9",
                         env={"DD_TRACE_AGENT_URL": f"http://127.0.0.1:{stack.agent_port}"})
            self.assertEqual(done.returncode, 9, done.stderr)
            wait_until("a profile with samples", lambda: any(u.profile.samples for u in intake.uploads()))
            tags = intake.uploads()[0].tags
            self.assertEqual((tags["service"], tags["env"], tags["version"]), ("shop", "prod", "1.2"))


if __name__ == "__main__":
    unittest.main()
