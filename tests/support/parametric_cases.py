"""Cases of sonde-parametric: each is a process of its own, configured by environment only, with an agent of its own.

A few run at once, as they mostly wait; each prints a line.  A word on the command line chooses those whose name has it.
"""

import concurrent.futures
import sys
import traceback

from parametric import Scenario

AT_ONCE = 4
CASES = []  # (name, env, keywords of Scenario, function)


def case(env=None, **keywords):
    def add(function):
        CASES.append((function.__name__, env or {}, keywords, function))
        return function
    return add


def same(got, want):
    assert got == want, f"got {got!r}, want {want!r}"


def run(name, env, keywords, function):
    """None, or what went wrong."""
    try:
        with Scenario(env, **keywords) as s:
            try:
                function(s)
            except Exception:
                return f"{traceback.format_exc()}\nlog of the program:\n{s.log()[-2000:]}"
    except Exception:
        return traceback.format_exc()
    return None


def run_cases(test, at_least):
    words = [a for a in sys.argv[1:] if not a.startswith("-")]
    cases = [c for c in CASES if all(w in c[0] for w in words)]
    failed = []
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for (name, *_), wrong in zip(cases, pool.map(lambda c: run(*c), cases)):
            print(f"not ok {name}\n{wrong}" if wrong else f"ok {name}", flush=True)
            failed += [name] if wrong else []
    test.assertEqual(failed, [])
    test.assertGreaterEqual(len(cases), 1 if words else at_least)
