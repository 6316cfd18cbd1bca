"""test_instructions - the hot calls of libtrace take as many instructions as instructions.txt says.

    test_instructions.py PROGRAM COMPILER FLAGS [--update]

Runs call_costs under callgrind and compares: more than 3 % above is a regression, more than 3 % below asks for
the new number.  Counts mean something only for the compiler, flags and libc they were taken with, which the
list names; with others, and without valgrind, the test is skipped (77).

After a change that is meant:  ./dev count  (or this program with --update)
"""
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

LIST = pathlib.Path(__file__).with_name("instructions.txt")
TOLERANCE = 0.03
HEAD = """# instructions of each hot call of libtrace, counted by valgrind (tests/integration/call_costs.c)
# written by `./dev count`; compared by test_instructions.py, which allows 3 %
"""


def skip(why):
    print("skipped:", why)
    sys.exit(77)


def count(program):
    """The counts of each call for few and for many of them, and the libc."""
    with tempfile.TemporaryDirectory() as folder:
        run = subprocess.run(
            ["valgrind", "--tool=callgrind", "--collect-atstart=no", f"--callgrind-out-file={folder}/out", program],
            capture_output=True, text=True)
        if run.returncode != 0:
            sys.exit(f"call_costs failed under valgrind: {run.stderr[-2000:]}")
        counts = {}
        for dump in pathlib.Path(folder).glob("out.*"):
            text = dump.read_text()
            label = re.search(r"^desc: Trigger: Client Request: (\w+) (\d+)$", text, re.M)
            if not label:
                continue
            total = int(re.search(r"^(?:summary|totals): (\d+)$", text, re.M).group(1))
            number = int(dump.suffix[1:])  # the later one of two with the same label counts
            counts.setdefault((label.group(1), int(label.group(2))), []).append((number, total))
        return {key: max(value)[1] for key, value in counts.items()}, run.stdout.strip()


def costs(counts):
    """Instructions of one call each, in the order they were counted."""
    calls = {}
    for (name, calls_made), total in counts.items():
        calls.setdefault(name, []).append((calls_made, total))
    result = {}
    for name, pair in calls.items():
        (few, few_total), (many, many_total) = sorted(pair)
        result[name] = (many_total - few_total) / (many - few)
    return result


def read_list():
    made_with, wanted = [], {}
    for line in LIST.read_text().splitlines() if LIST.exists() else []:
        if line.startswith("with "):
            made_with.append(line.removeprefix("with "))
        elif line and not line.startswith("#"):
            name, number = line.split()
            wanted[name] = float(number)
    return made_with, wanted


def write_list(made_with, found):
    with LIST.open("w") as f:
        f.write(HEAD)
        f.writelines(f"with {line}\n" for line in made_with)
        f.writelines(f"{name:16} {number:8.1f}\n" for name, number in sorted(found.items()))
    print(f"wrote {LIST.name}")


def compare(wanted, found):
    failures = 0
    for name in sorted(wanted.keys() | found.keys()):
        was, now = wanted.get(name), found.get(name)
        if was is None or now is None:
            print(f"{name}: " + ("not in the list" if was is None else "not counted any more"))
            failures += 1
        elif abs(now - was) > TOLERANCE * was:
            print(f"{name}: {was:.1f} -> {now:.1f} instructions, {100 * (now - was) / was:+.1f} %")
            failures += 1
        else:
            print(f"{name}: {now:.1f}")
    if failures:
        print(f"{failures} differ by more than 3 %; when that is meant: ./dev count")
    return failures


program, compiler, flags = sys.argv[1:4]
if not shutil.which("valgrind"):
    skip("valgrind is not installed")
made_with, wanted = read_list()
here = [compiler, flags]
if "--update" not in sys.argv and made_with[:2] != here:
    skip(f"the list was made with {made_with[:2]}, this is {here}")
counts, libc = count(program)
here.append(libc)
if "--update" in sys.argv:
    write_list(here, costs(counts))
elif made_with != here:
    skip(f"the list was made with {made_with}, this is {here}")
else:
    sys.exit(compare(wanted, costs(counts)) > 0)
