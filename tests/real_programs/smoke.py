"""What Python programs do, with an output that is always the same: run by tests/integration/test_real_programs.py."""

import asyncio
import ctypes
import gc
import hashlib
import json
import multiprocessing
import os
import queue
import re
import signal
import sqlite3
import subprocess
import sys
import threading
import zlib

digest = hashlib.sha256()


def say(what, *values):
    text = f"{what} {' '.join(map(str, values))}"
    digest.update(text.encode())
    print(text, flush=True)


def threads():
    jobs, done = queue.Queue(), queue.Queue()

    def work():
        for n in iter(jobs.get, None):
            done.put(sum(len(str(k)) for k in range(n)))
    crew = [threading.Thread(target=work) for _ in range(8)]
    for thread in crew:
        thread.start()
    for n in range(200):
        jobs.put(n)
    for _ in crew:
        jobs.put(None)
    for thread in crew:
        thread.join()
    say("threads", sum(done.get() for _ in range(200)))


def square(n):
    return n * n


def processes():
    for way in "fork", "spawn":
        with multiprocessing.get_context(way).Pool(3) as pool:
            say("pool", way, sum(pool.map(square, range(500))))
    for i in range(10):
        pid = os.fork()
        if pid == 0:
            os._exit(i)
        say("fork", os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
    for how in {}, {"close_fds": False}, {"start_new_session": True}:
        done = subprocess.run([sys.executable, "-c", "import sys; sys.exit(len(sys.stdin.read()))"], input=b"x" * 7, check=False, **how)
        say("subprocess", done.returncode)
    done = subprocess.run(["/bin/sh", "-c", "echo to a shell | tr a-z A-Z; kill -9 $$"], stdout=subprocess.PIPE, check=False)
    say("shell", done.returncode, done.stdout)


def signals():
    seen = []
    for number in signal.SIGUSR1, signal.SIGALRM, signal.SIGVTALRM:
        signal.signal(number, lambda n, _: seen.append(n))
    for _ in range(50):
        os.kill(os.getpid(), signal.SIGUSR1)
    signal.setitimer(signal.ITIMER_REAL, 0.01)
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.01)
    while signal.SIGALRM not in seen or signal.SIGVTALRM not in seen:
        sum(range(1000))
    say("signals", sorted(set(seen)), signal.getsignal(signal.SIGPROF) == signal.SIG_DFL)


def exceptions(depth=0):
    try:
        if depth < 200:
            exceptions(depth + 1)
        raise ValueError(depth)
    except ValueError as e:
        if depth == 0:
            say("exceptions", e)


async def served():
    async def answer(reader, writer):
        writer.write((await reader.readline()).upper())
        await writer.drain()
        writer.close()
    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]

    async def ask(i):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"hello {i}\n".encode())
        line = await reader.readline()
        writer.close()
        return line
    answers = await asyncio.gather(*(ask(i) for i in range(50)))
    server.close()
    say("asyncio", b"".join(answers))


def libraries():
    values = [{"a": i, "b": str(i) * 3, "c": [None, True, i / 7]} for i in range(2000)]
    text = json.dumps(values)
    say("json", hashlib.md5(text.encode()).hexdigest(), json.loads(text) == values)
    say("re", len(re.findall(r"(\d+)1\b|\"b\": \"(\d)\2*\"", text)))
    packed = zlib.compress(text.encode(), 9)
    say("zlib", zlib.crc32(zlib.decompress(packed)))
    with sqlite3.connect(":memory:") as base:
        base.execute("CREATE TABLE t (a INTEGER, b TEXT)")
        base.executemany("INSERT INTO t VALUES (?, ?)", ((i, str(i)) for i in range(5000)))
        say("sqlite", base.execute("SELECT count(*), sum(a), max(b) FROM t WHERE a % 3 = 0").fetchone())
    compare = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_int), ctypes.POINTER(ctypes.c_int))
    numbers = (ctypes.c_int * 500)(*(i * 7919 % 500 for i in range(500)))
    ctypes.CDLL(None).qsort(numbers, 500, 4, compare(lambda x, y: x[0] - y[0]))
    say("ctypes", list(numbers) == list(range(500)))
    for i in range(50):
        loop = [i]
        loop.append(loop)
    gc.collect()


if __name__ == "__main__":
    threads()
    processes()
    signals()
    exceptions()
    asyncio.run(served())
    libraries()
    print(digest.hexdigest())
