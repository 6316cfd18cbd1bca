"""`sonde profile -p`: the profiler is put into programs that run, which must not notice.

What a program notices it says itself (attach_target.c): what its calls returned, whether its registers and its memory are
as it left them. Nothing here depends on how long something takes.

SONDE_SOAK=1: 100 attaches in a row where there are 4, and a command that is killed in the middle of more calls.
"""

import ctypes
import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import pprof  # noqa: E402
from stack import BUILD_DIR, PATIENCE_S, SOAK, wait_until  # noqa: E402

BUILD = pathlib.Path(BUILD_DIR)
SONDE = BUILD / "bin" / "sonde"
TARGET = BUILD / "tests" / "attach_target"
KILLED = BUILD / "tests" / "attach_killed"
TIMES = int(os.environ.get("SONDE_TEST_ATTACHES", 100 if SOAK else 4))  # in a row
DONE = 7  # the exit code of TARGET

PTRACE_SEIZE = 0x4206


def sonde(*words):
    return subprocess.run([SONDE, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=PATIENCE_S, text=True)


def attach(pid, *options, seconds=1):
    return sonde("profile", "--no-inlines", "-p", pid, "-d", seconds, *options)


def unless_busy(done):
    """None when there was no time to load the profiler."""
    return None if "its loader was busy" in done.stderr else done


def names_of_threads(pid):
    names = []
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            names.append((task / "comm").read_text().strip())
        except OSError:  # it has ended
            pass
    return names


def of_profiler(pid):
    return [name for name in names_of_threads(pid) if name.startswith("sonde-")]


SIGTIMEDWAIT = "128 "  # what the command waits in when it profiles


def rounds(pid):
    """Of the wall sampler, each of which takes samples."""
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        try:
            if (task / "comm").read_text() == "sonde-wall\n":
                return int(re.search(r"\nvoluntary_ctxt_switches:\s*(\d+)", (task / "status").read_text())[1])
        except OSError:  # it has ended
            pass
    return 0


def cpu_ticks(pid):
    return int(pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11])


def empty_folders(pid):
    """That commands made where the process sees them: those of commands that begin or end just now are empty, too."""
    for folder in pathlib.Path(f"/proc/{pid}/root/tmp").glob("sonde-??????"):
        try:
            if not os.listdir(folder):
                yield folder.name
        except (FileNotFoundError, NotADirectoryError):
            pass


def folder_of(pid):
    """Where the command has its socket."""
    inodes = {os.readlink(f"/proc/{pid}/fd/{fd}")[len("socket:["):-1] for fd in os.listdir(f"/proc/{pid}/fd")}
    for line in pathlib.Path("/proc/net/unix").read_text().splitlines():
        words = line.split()
        if len(words) == 8 and words[6] in inodes and words[7].endswith("/profile.socket"):
            return pathlib.Path("/tmp") / words[7].split("/")[-2]
    raise AssertionError("it listens nowhere")


class Attached(unittest.TestCase):
    def setUp(self):
        self.folder = pathlib.Path(tempfile.mkdtemp())
        self.addCleanup(shutil.rmtree, self.folder)

    def start(self, *words, program=TARGET, ready=True, **more):
        popen = subprocess.Popen([str(program), *words], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **more)
        self.addCleanup(self.end, popen)
        if ready:
            self.assertEqual(popen.stdout.readline(), b"ready\n")
        return popen

    @staticmethod
    def end(popen):
        if popen.poll() is None:
            popen.kill()
        popen.wait()
        for stream in (popen.stdin, popen.stdout):
            if stream and not stream.closed:
                try:
                    stream.close()
                except BrokenPipeError:
                    pass

    def output(self, popen, told=b"x"):
        """What it printed after "ready", once it has been told to go on."""
        out, _ = popen.communicate(told, timeout=PATIENCE_S)
        return out.decode()

    def begin_profile(self, program, *options):
        """A command that goes on until it is interrupted, and has seen something."""
        command = subprocess.Popen([SONDE, "profile", "--no-inlines", "-p", str(program.pid), *map(str, options)])
        self.addCleanup(self.end, command)
        wait_until("it profiles", lambda: pathlib.Path(f"/proc/{command.pid}/syscall").read_text().startswith(SIGTIMEDWAIT))
        wait_until("there are samples", lambda: rounds(program.pid) >= 5)
        return command

    def assert_profiled(self, done):
        """Without complaints; on a busy machine there may be nothing to see in a second."""
        complaints = [line for line in done.stderr.splitlines() if "no samples came" not in line]
        self.assertEqual((done.returncode, complaints), (0, []), done.stdout)

    def assert_refused(self, done, text):
        self.assertEqual(done.returncode, 1, done.stdout)
        self.assertIn(text, done.stderr)


class Waiting(Attached):
    """A program's only thread waits in a call: no EINTR, no end before its time."""

    def check(self, name, returned):
        program = self.start(name)
        for _ in range(2):
            self.assert_profiled(attach(program.pid, "-e", "cpu,wall,heap,lock"))
        self.assertRegex(self.output(program), rf"^{name} {returned} 0 \d+\n$")
        self.assertEqual(program.returncode, DONE)

    def check_until_its_time(self, name):
        program = self.start(name)
        done = attach(program.pid, "-e", "wall")
        if program.poll() is None:
            self.assert_profiled(done)
        said = self.output(program)
        self.assertRegex(said, rf"^{name} 0 0 \d+\n$")
        self.assertGreaterEqual(int(said.split()[-1]), 2999, said)
        self.assertEqual(program.returncode, DONE)

    def test_nanosleep(self):
        self.check_until_its_time("nanosleep")

    def test_clock_nanosleep(self):
        self.check_until_its_time("clock_nanosleep")

    def test_poll_with_a_time_out(self):
        self.check_until_its_time("poll_timeout")

    def test_poll(self):
        self.check("poll", 1)

    def test_select(self):
        self.check("select", 1)

    def test_read(self):
        self.check("read", 1)

    def test_epoll_wait(self):
        self.check("epoll", 1)

    def test_epoll_wait_with_a_time_out(self):
        self.check_until_its_time("epoll_timeout")

    def test_recv_with_a_time_out(self):
        self.check("recv", 1)

    def test_wait(self):
        self.check("wait", 0)

    def test_semaphore(self):
        self.check("semaphore", 0)


class Running(Attached):
    def test_registers_are_as_they_were(self):
        program = self.start("registers")
        for _ in range(TIMES):
            self.assert_profiled(attach(program.pid, "-e", "cpu"))
        self.assertEqual(self.output(program), "registers ok\n")
        self.assertEqual(program.returncode, DONE)

    def test_fifty_threads_that_allocate_all_the_time(self):
        program = self.start("threads", preexec_fn=lambda: os.nice(15))
        file = self.folder / "out.pb.gz"
        allocated = 0
        for _ in range(TIMES):
            # with so many beside it the thread that loads may not be let run for long: then the command says so
            self.assert_profiled(wait_until("it is loaded", lambda: unless_busy(attach(program.pid, "-o", file))))
            p = pprof.read(file.read_bytes())
            allocated += sum(values.get("alloc-space", 0) for stack, values, _ in p.rows() if "allocate" in stack)
        self.assertGreater(allocated, 0)  # of a single second a machine this busy may send nothing in time
        self.assertEqual(self.output(program), "threads ok\n")
        self.assertEqual(program.returncode, DONE)

    def test_its_functions_are_seen(self):
        program = self.start("1000000", program=BUILD / "tests" / "profiled_split", ready=False)
        file = self.folder / "out.folded"
        command = self.begin_profile(program, "-e", "cpu,wall", "-F", 250, "-o", file)
        begun = cpu_ticks(program.pid)
        wait_until("it has computed for a second", lambda: cpu_ticks(program.pid) >= begun + os.sysconf("SC_CLK_TCK"))
        command.send_signal(signal.SIGINT)
        self.assertEqual(command.wait(PATIENCE_S), 0)
        self.assertIn("main;three_parts ", file.read_text())
        done = sonde("top", "-p", program.pid, "--once", "--no-inlines")
        self.assert_profiled(done)
        self.assertRegex(done.stdout, rf"profiled_split \({program.pid}\)")
        self.assertIn("three_parts", done.stdout)
        self.assertIsNone(program.poll())

    def test_a_child_it_forks_meanwhile_is_let_alone(self):
        program = self.start("fork")
        command = self.begin_profile(program, "-o", self.folder / "out.folded")
        program.stdin.write(b"x")
        program.stdin.flush()
        self.assertEqual(program.stdout.readline(), b"child 1\n")
        self.assertIn("sonde-attach", of_profiler(program.pid))
        command.send_signal(signal.SIGINT)
        self.assertEqual(command.wait(PATIENCE_S), 0)
        program.stdin.write(b"x")
        program.stdin.flush()
        self.assertEqual(program.stdout.readline(), b"child 1\n")
        self.output(program, b"")
        self.assertEqual(program.returncode, DONE)


class Ends(Attached):
    def begin(self):
        program = self.start("read")
        return program, self.begin_profile(program, "-e", "wall", "-o", self.folder / "out.folded")

    def finish(self, program):
        wait_until("the profiler sleeps", lambda: not of_profiler(program.pid) and len(names_of_threads(program.pid)) == 1)
        self.assert_profiled(attach(program.pid, "-e", "wall"))
        self.assertRegex(self.output(program), r"^read 1 0 \d+\n$")
        self.assertEqual(program.returncode, DONE)

    def test_ctrl_c_ends_the_profile_and_not_the_program(self):
        program, command = self.begin()
        command.send_signal(signal.SIGINT)
        self.assertEqual(command.wait(PATIENCE_S), 0)
        self.assertIn("read", (self.folder / "out.folded").read_text())
        self.finish(program)

    def test_when_the_command_is_killed_it_ends_by_itself(self):
        program, command = self.begin()
        self.addCleanup(shutil.rmtree, folder_of(command.pid), ignore_errors=True)
        command.kill()
        self.finish(program)

    def test_when_the_program_ends_what_was_seen_is_written(self):
        program, command = self.begin()
        self.assertRegex(self.output(program), r"^read 1 0 \d+\n$")
        self.assertEqual(program.returncode, DONE)
        self.assertEqual(command.wait(PATIENCE_S), 0)
        self.assertTrue((self.folder / "out.folded").exists())

    def test_two_at_once(self):
        program, command = self.begin()
        self.assert_refused(attach(program.pid), "somebody else is profiling it")
        command.send_signal(signal.SIGINT)
        self.assertEqual(command.wait(PATIENCE_S), 0)
        self.finish(program)


    def test_a_command_that_was_stopped_for_long_writes_nowhere(self):
        program = self.start("fill")
        command = self.begin_profile(program, "-e", "wall", "-o", self.folder / "out.folded")
        command.send_signal(signal.SIGSTOP)
        wait_until("the profiler sleeps", lambda: len(names_of_threads(program.pid)) == 1)
        program.stdin.write(b"x")  # other memory comes to where they spoke to each other
        program.stdin.flush()
        self.assertEqual(program.stdout.readline(), b"filled\n")
        command.send_signal(signal.SIGCONT)
        self.assertEqual(command.wait(PATIENCE_S), 0)
        self.assertEqual(self.output(program), "fill ok\n")
        self.assertEqual(program.returncode, DONE)


class Killed(Attached):
    """The command is killed behind each of its calls that hold a thread of the program, which goes on as if nothing had been."""

    def setUp(self):
        super().setUp()
        self.addCleanup(self.remove_folders, {folder for folder in pathlib.Path("/tmp").glob("sonde-??????")})

    @staticmethod
    def remove_folders(before):
        """Of commands that cannot do it any more."""
        after = [folder for folder in pathlib.Path("/tmp").glob("sonde-??????") if folder not in before and (folder / "profile.socket").exists()]
        open_now = pathlib.Path("/proc/net/unix").read_text()
        for folder in after:
            if f"/{folder.name}/" not in open_now:
                shutil.rmtree(folder, ignore_errors=True)

    def kill_in(self, name, at, said):
        """False: it was through before."""
        program = self.start(name)
        killed = subprocess.run([KILLED, str(at), SONDE, "profile", "--no-inlines", "-p", str(program.pid), "-d", "1"],
                                stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, timeout=PATIENCE_S)
        self.assertIn(killed.returncode, (0, 1), killed.stderr)
        self.assertRegex(self.output(program, told=None if "sleep" in name or "timeout" in name else b"x"), said, f"killed at {at}")
        self.assertEqual(program.returncode, DONE, f"killed at {at}")
        return killed.returncode == 0

    def kill_everywhere(self, name, said):
        at = 1
        while self.kill_in(name, at, said):
            at += 1
        self.assertGreater(at, 15)

    def test_while_it_computes(self):
        self.kill_everywhere("registers", r"^registers ok\n$")

    def test_while_it_waits(self):
        self.kill_everywhere("poll", r"^poll 1 0 \d+\n$")

    def test_while_it_waits_in_other_calls(self):
        if not SOAK:
            self.skipTest("SONDE_SOAK=1 asks for it")
        for name, returned in (("read", 1), ("select", 1), ("wait", 0), ("semaphore", 0), ("nanosleep", 0), ("clock_nanosleep", 0), ("poll_timeout", 0)):
            with self.subTest(name):
                self.kill_everywhere(name, rf"^{name} {returned} 0 \d+\n$")


class Refused(Attached):
    """Each says why, and the process goes on as before."""

    def goes_on(self, program):
        self.assertRegex(self.output(program), r"^read 1 0 \d+\n$")
        self.assertEqual(program.returncode, DONE)

    def test_static(self):
        program = self.start("read", program=BUILD / "tests" / "attach_target_static")
        self.assert_refused(attach(program.pid), "linked statically")
        self.goes_on(program)

    def test_its_own_profiler_runs(self):
        program = self.start("read", env={**os.environ, "LD_PRELOAD": str(BUILD / "lib" / "libsonde-profiler.so"),
                                          "DD_PROFILING_DO_EXPORT": "0"})
        self.assert_refused(attach(program.pid), "its own profiler runs")
        self.goes_on(program)

    def test_another_profiler_runs(self):
        program = self.start("profiled")
        for _ in range(TIMES):
            self.assert_refused(attach(program.pid, "-e", "cpu"), "another profiler uses SIGPROF")
        self.output(program)
        self.assertEqual(program.returncode, DONE)

    def test_preloaded_but_switched_off(self):
        program = self.start("read", env={**os.environ, "LD_PRELOAD": str(BUILD / "lib" / "libsonde-profiler.so"),
                                          "DD_PROFILING_ENABLED": "0"})
        self.assert_profiled(attach(program.pid, "-e", "wall"))
        self.goes_on(program)

    def test_stopped(self):
        program = self.start("read")
        program.send_signal(signal.SIGSTOP)
        wait_until("it is stopped", lambda: "T (stopped)" in pathlib.Path(f"/proc/{program.pid}/status").read_text())
        self.assert_refused(attach(program.pid), f"kill -CONT {program.pid}")
        program.send_signal(signal.SIGCONT)
        self.goes_on(program)

    def test_traced(self):
        program = self.start("read")
        libc = ctypes.CDLL(None, use_errno=True)
        libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p]
        self.assertEqual(libc.ptrace(PTRACE_SEIZE, program.pid, None, None), 0)
        self.assert_refused(attach(program.pid), f"is traced by {names_of_threads(os.getpid())[0]} ({os.getpid()})")
        # its end would be the tracer's to see: this process is both, and waits for it as a parent
        self.goes_on(program)

    def test_a_handler_waits(self):
        program = self.start("handler")
        self.assert_refused(attach(program.pid), "no thread of process")
        self.output(program)
        self.assertEqual(program.returncode, 0)

    def test_a_filter_of_system_calls(self):
        program = self.start("filter")
        self.assert_refused(attach(program.pid), "--trust-seccomp")
        self.assert_profiled(attach(program.pid, "-e", "wall", "--trust-seccomp"))
        self.goes_on(program)

    def test_a_thread(self):
        program = self.start("semaphore")
        wait_until("it has its thread", lambda: len(names_of_threads(program.pid)) == 2)
        tid = max(int(task.name) for task in pathlib.Path(f"/proc/{program.pid}/task").iterdir())
        self.assert_refused(attach(tid), f"say --pid {program.pid}")
        self.assertRegex(self.output(program), r"^semaphore 0 0 \d+\n$")


class Elsewhere(Attached):
    """Another user's process, and one that sees other files."""

    def setUp(self):
        super().setUp()
        if os.geteuid() != 0:
            self.skipTest("needs root")

    def check(self, program):
        before = set(empty_folders(program.pid))
        for _ in range(2):
            self.assert_profiled(attach(program.pid, "-e", "wall,heap"))
        self.assertEqual([fd for fd in os.listdir(f"/proc/{program.pid}/fd") if
                          "memfd" in os.readlink(f"/proc/{program.pid}/fd/{fd}")], [])
        wait_until("its folders are gone", lambda: not set(empty_folders(program.pid)) - before)
        self.assertRegex(self.output(program), r"^read 1 0 \d+\n$")
        self.assertEqual(program.returncode, DONE)

    def test_another_user(self):
        def become():
            os.setgid(65534)
            os.setuid(65534)

        place = pathlib.Path(tempfile.mkdtemp())  # everybody may look into it
        self.addCleanup(shutil.rmtree, place)
        place.chmod(0o755)
        shutil.copy(TARGET, place / "target")
        self.check(self.start("read", program=place / "target", preexec_fn=become))

    def test_other_mounts(self):
        self.check_mounts(f'mount -t tmpfs none /tmp && mount -t tmpfs none "{BUILD}"')

    def test_a_full_tmp(self):
        self.check_mounts("mount -t tmpfs -o nr_inodes=1 none /tmp")

    def check_mounts(self, mounts):
        here = f"mount -t tmpfs none /mnt && cp {TARGET} /mnt/target && {mounts}"
        if shutil.which("unshare") is None or subprocess.run(["unshare", "-m", "sh", "-c", here], stderr=subprocess.DEVNULL).returncode:
            self.skipTest("no mounts of its own here")
        self.check(self.start("-m", "sh", "-c", f"{here} && exec /mnt/target read", program="unshare"))


class Programs(Attached):
    def test_python(self):
        program = self.start("-c", "import sys, time\nprint('ready', flush=True)\nprint(sys.stdin.readline(), end='')", program=sys.executable)
        for _ in range(2):
            self.assert_profiled(attach(program.pid, "-e", "wall,heap"))
        self.assertEqual(self.output(program, b"said\n"), "said\n")
        self.assertEqual(program.returncode, 0)

    def test_redis(self):
        if not shutil.which("redis-server"):
            self.skipTest("redis-server is not installed")
        socket = self.folder / "socket"
        server = self.start("--port", "0", "--unixsocket", str(socket), "--save", "", "--dir", str(self.folder), program="redis-server", ready=False)
        ask = lambda *words: subprocess.run(["redis-cli", "-s", socket, *words], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout  # noqa: E731
        wait_until("it answers", lambda: ask("ping") == "PONG\n")
        for i in range(2):
            self.assert_profiled(attach(server.pid))
            self.assertEqual(ask("incr", "n"), f"{i + 1}\n")
        ask("shutdown", "nosave")
        server.stdout.read()
        self.assertEqual(server.wait(PATIENCE_S), 0)


def may_trace():
    """A line that says why not; None: yes."""
    with subprocess.Popen([TARGET, "read"], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as program:
        program.stdout.readline()
        done = attach(program.pid, "-e", "wall")
        program.communicate(b"x")
    reasons = ("may not be traced", "may not be looked into", "lets nobody but", "x86-64 only", "seccomp")
    return done.stderr if any(reason in done.stderr for reason in reasons) else None


if __name__ == "__main__":
    why = may_trace()
    if why:
        print(f"skipped: {why}")
        sys.exit(77)
    unittest.main()
