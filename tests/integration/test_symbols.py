"""The agent's symbolizer against those of LLVM and binutils: a C++ program in every shape debug information comes in.

For each shape bytes all over the program's code are asked about; name, file and line of every function, inlined ones
first, have to be the same.  Where both disagree LLVM's is the measure: binutils names an innermost function without a
linkage name after the symbol around it.  What is not installed (LLVM, clang, rustc, xz) is left out.
"""

import http.server
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile
import threading
import unittest

BUILD = pathlib.Path(os.environ.get("SONDE_BUILD_DIR", pathlib.Path(__file__).resolve().parents[2] / "build/release"))
LOOKUP = BUILD / "tests/symbol_lookup"

PROGRAM = r"""
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <string>
#include <vector>

namespace shop {
struct Item { std::string name; int price; };

template <typename T> static inline T twice(T x) { return x + x; }

static inline int tax(int price)
{
    int sum = 0;
    for (int i = 0; i < price; i++)
        sum += twice(i) % 7;
    return sum;
}

class Cart {
public:
    void add(const Item &item);
    int total() const;
    bool operator<(const Cart &other) const;
private:
    std::vector<Item> items_;
};

void Cart::add(const Item &item)
{
    items_.push_back(item);
}

int Cart::total() const
{
    int sum = 0;
    for (const auto &item : items_) {
        sum += item.price + tax(item.price);
    }
    return sum;
}

bool Cart::operator<(const Cart &other) const { return total() < other.total(); }
} // namespace shop

extern "C" int plain_c_function(int a, int b)
{
    if (a > b)
        return shop::tax(a) - b;
    return b / (a | 1);
}

static int by_lambda(std::vector<int> &v)
{
    std::sort(v.begin(), v.end(), [](int a, int b) { return shop::tax(a) > shop::tax(b); });
    return v.front();
}

int main(int argc, char **argv)
{
    shop::Cart cart, other;
    std::map<std::string, int> seen;
    std::vector<int> v;
    for (int i = 0; i < argc * 10; i++) {
        cart.add({ argv[0], i });
        seen[argv[i % argc]] += i;
        v.push_back(rand() % 100);
    }
    std::printf("%d %d %d %zu\n", cart.total(), cart < other, by_lambda(v) + plain_c_function(argc, 3), seen.size());
    return 0;
}
"""

RUST = """
mod shop {
    pub struct Cart { pub items: Vec<u64> }
    impl Cart {
        #[inline(never)] pub fn total(&self) -> u64 { self.items.iter().map(|x| tax(*x)).sum() }
    }
    #[inline(never)] pub fn tax(x: u64) -> u64 { if x > 7 { x * 3 } else { x } }
}
fn main() {
    let c = shop::Cart { items: (0..std::env::args().count() as u64 * 10).collect() };
    println!("{}", c.total());
}
"""


def run(*arguments, **options):
    return subprocess.run([str(a) for a in arguments], check=True, capture_output=True, text=True, **options).stdout


CLONE = re.compile(r"(\.(cold|isra|part|constprop|lto_priv|\d+))+$")  # of a symbol; the function is the same
ADDRESSES_MAX = 2000  # asked about of one program


def functions(path, *options):
    """[(address, size, name)] by nm."""
    found = re.findall(r"^([0-9a-f]{16}) ([0-9a-f]{16}) [tTwWiu] (.+)$", run("nm", "-C", "-S", *options, path), re.M)
    return [(int(address, 16), int(size, 16), name) for address, size, name in found]


def code_addresses(path):
    """Addresses in functions, spread evenly: not the padding between them, where addr2line guesses."""
    found = sorted({a for address, size, _ in functions(path) for a in range(address, address + size, 3)})
    return found[::max(1, len(found) // ADDRESSES_MAX)]


def ours(path, addresses, *options):
    """[[(name, file, line), ...], ...]"""
    said = run(LOOKUP, *options, path, input="".join(f"{a:x}\n" for a in addresses)).splitlines()
    answers = []
    for line in said:
        cells = line.split("\t") if line else []
        answers.append([(cells[i], os.path.basename(cells[i + 1]), int(cells[i + 2])) for i in range(0, len(cells), 3)])
    return answers


def status_of(path, addresses, *options):
    """(names, counters of the symbolizer)"""
    *said, counters = run(LOOKUP, "--status", *options, path, input="".join(f"{a:x}\n" for a in addresses)).splitlines()
    return [line.split("\t")[0] for line in said], json.loads(counters)


def build_id_of(path):
    return re.search(r"Build ID: ([0-9a-f]+)", run("readelf", "-n", path))[1]


def usual(answers):
    """Differences that are none: of two names for one destructor, the suffix of a clone, a file without a line."""
    return [[(re.sub(r"([CD])[12]E", r"\1_E", CLONE.sub("", name)), file if line else "", line) for name, file, line in answer]
            for answer in answers]


def addr2line(path, addresses, program="addr2line"):
    said = run(program, "-a", "-f", "-i", "-e", path, input="".join(f"{a:x}\n" for a in addresses)).splitlines()
    answers, at = [], -1
    while at + 1 < len(said):
        at += 1
        if re.fullmatch(r"0x[0-9a-f]+", said[at]):
            answers.append([])
            continue
        place = re.sub(r" \(discriminator \d+\)$", "", said[at + 1])
        file, _, line = place.rpartition(":")
        answers[-1].append((said[at], os.path.basename(file), int(line) if line.isdigit() else 0))
        at += 1
    return answers


class Symbols(unittest.TestCase):
    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="sonde-symbols-"))
        self.addCleanup(shutil.rmtree, self.dir)
        self.source = self.dir / "shop.cc"
        self.source.write_text(PROGRAM)

    def build(self, *flags, compiler="g++", name="shop"):
        out = self.dir / name
        run(compiler, "-O2", *flags, "-o", out, self.source, cwd=self.dir)
        return out

    def assert_same(self, addresses, got, want):
        """At least 999 of 1000."""
        differ = [(hex(a), g, w) for a, g, w in zip(addresses, got, want) if g != w]
        self.assertEqual(len(got), len(want))
        self.assertGreater(len(want), 500)
        self.assertLessEqual(len(differ), len(want) // 1000, differ[:5])

    def assert_as_others(self, path, *options, truth=None, binutils=True):
        addresses = code_addresses(truth or path)
        got = usual(ours(path, addresses, "--lines", "--raw", *options))
        self.assertGreater(sum(len(answer) > 1 for answer in got), 50, "nothing is inlined: this tests nothing")
        if binutils:
            want = usual(addr2line(truth or path, addresses))
            self.assert_same(addresses, [[line for _, _, line in answer] for answer in got],
                             [[line for _, _, line in answer] for answer in want])
            self.assert_same(addresses, [[name for name, _, _ in answer[1:]] for answer in got],
                             [[name for name, _, _ in answer[1:]] for answer in want])
        if shutil.which("llvm-addr2line"):
            self.assert_same(addresses, got, usual(addr2line(truth or path, addresses, "llvm-addr2line")))

    def test_lines_and_inlined_functions(self):
        for flags in (["-gdwarf-5"], ["-gdwarf-4", "-gz=zlib"], ["-gdwarf-2", "-gz=zlib-gnu"],
                      ["-g", "-no-pie", "-ffunction-sections"]):
            with self.subTest(flags=flags):
                self.assert_as_others(self.build(*flags))

    def test_lines_of_clang(self):
        if not shutil.which("clang++"):
            self.skipTest("no clang")
        self.assert_as_others(self.build("-g", compiler="clang++"), binutils=False)  # it finds one inlined function only

    def test_lines_packed_with_zstd(self):
        whole, packed = self.build("-g", name="whole"), self.dir / "shop"
        if subprocess.run(["objcopy", "--compress-debug-sections=zstd", whole, packed], capture_output=True, check=False).returncode:
            self.skipTest("objcopy knows no zstd")
        self.assertIn("ZSTD", run("readelf", "-tW", packed))
        self.assert_as_others(packed, truth=whole)

    def test_split_debug_information(self):
        for flags in ["-gdwarf-5"], ["-gdwarf-4"]:
            with self.subTest(flags=flags):
                whole = self.build(*flags, name="whole")
                self.assert_as_others(self.build(*flags, "-gsplit-dwarf"), truth=whole)

    def test_what_several_programs_have_in_common_in_a_file_of_its_own(self):
        if not shutil.which("dwz"):
            self.skipTest("no dwz")
        for version in "4", "5":
            with self.subTest(version=version):
                whole = self.build(f"-gdwarf-{version}", name=f"whole{version}")
                program, other = self.dir / "shop", self.build(f"-gdwarf-{version}", "-DOTHER", name="other")
                shutil.copy(whole, program)
                common = self.dir / "common.debug"
                run("dwz", "-m", common, "-M", common, program, other)
                self.assertIn(".gnu_debugaltlink", run("readelf", "-SW", program))
                self.assert_as_others(program, truth=whole)
                build_id = build_id_of(common)  # the same by its build-id, wherever it was
                by_id = self.dir / "debug/.build-id" / build_id[:2] / f"{build_id[2:]}.debug"
                by_id.parent.mkdir(parents=True)
                common.rename(by_id)
                addresses = code_addresses(whole)
                self.assertEqual(ours(program, addresses, "--lines", "--debug-dir", self.dir / "debug"),
                                 ours(whole, addresses, "--lines"))
                by_id.write_bytes(other.read_bytes())  # another file than the one that was meant
                self.assertGreater(sum(bool(answer) for answer in ours(program, addresses, "--lines", "--debug-dir",
                                                                       self.dir / "debug")), len(addresses) * 9 // 10)

    def test_split_debug_information_in_one_package(self):
        if not shutil.which("llvm-dwp"):
            self.skipTest("no llvm-dwp")
        whole = self.build("-gdwarf-5", name="whole")
        split = self.build("-gdwarf-5", "-gsplit-dwarf")
        run("llvm-dwp", "-e", split, "-o", f"{split}.dwp", cwd=self.dir)
        for part in self.dir.glob("*.dwo"):
            part.unlink()
        addresses = code_addresses(whole)
        answers = ours(split, addresses, "--lines", "--raw")
        if not any(len(answer) > 1 for answer in answers):
            # names come from the symbol table all the same
            self.assertGreater(sum(bool(answer) for answer in answers), len(addresses) * 9 // 10)
            self.skipTest("this libdw reads no .dwp (0.192 does)")
        self.assert_as_others(split, truth=whole)

    def test_a_debug_file_beside_the_program(self):
        for place in ".", ".debug":
            with self.subTest(place=place):
                whole = self.build("-g", name="whole")
                debug, stripped = self.dir / place / "shop.debug", self.dir / "shop"
                debug.parent.mkdir(exist_ok=True)
                run("objcopy", "--only-keep-debug", whole, debug)
                run("objcopy", "--strip-all", "--remove-section=.note.gnu.build-id", f"--add-gnu-debuglink={debug}", whole,
                    stripped)
                self.assert_as_others(stripped, truth=whole)
                debug.write_bytes(debug.read_bytes() + b"x")  # another file than the one that was meant
                addresses = code_addresses(whole)
                self.assertEqual({f for answer in ours(stripped, addresses, "--lines") for _, f, _ in answer} - {""}, set())
                debug.unlink()

    def test_a_debug_file_by_build_id(self):
        whole = self.build("-g", name="whole")
        build_id = re.search(r"Build ID: ([0-9a-f]+)", run("readelf", "-n", whole))[1]
        debug = self.dir / "debug/.build-id" / build_id[:2] / f"{build_id[2:]}.debug"
        debug.parent.mkdir(parents=True)
        run("objcopy", "--only-keep-debug", whole, debug)
        stripped = self.dir / "shop"
        run("objcopy", "--strip-all", whole, stripped)
        self.assert_as_others(stripped, "--debug-dir", self.dir / "debug", truth=whole)

    def names_by_nm(self, path, *options):
        """{address of each byte of a function: its names} by nm."""
        names = {}
        for address, size, name in functions(path, *options):
            for at in range(address, address + size, 3):
                names.setdefault(at, set()).add(name)
        return names

    def assert_names(self, path, names, *options):
        addresses = sorted(names)
        self.assertGreater(len(addresses), 100)
        for address, answer in zip(addresses, ours(path, addresses, *options)):
            self.assertEqual(len(answer), 1, hex(address))
            self.assertIn(answer[0][0], names[address], hex(address))

    def test_names_from_the_symbol_table(self):
        program = self.build()
        self.assert_names(program, self.names_by_nm(program))

    def test_names_from_the_dynamic_symbols_only(self):
        library = self.build("-shared", "-fPIC", "-DNO_MAIN", name="libshop.so")
        names = self.names_by_nm(library, "-D")
        run("strip", library)
        self.assert_names(library, {a: n for a, n in names.items()})

    def test_names_from_a_compressed_symbol_table_in_a_stripped_program(self):
        if not shutil.which("xz"):
            self.skipTest("no xz")
        whole = self.build(name="whole")
        names = self.names_by_nm(whole)
        mini, stripped = self.dir / "mini", self.dir / "shop"
        run("objcopy", "--remove-section=.comment", "--only-keep-debug", whole, mini)
        run("xz", "--force", mini)
        run("objcopy", "--strip-all", f"--add-section=.gnu_debugdata={mini}.xz", whole, stripped)
        self.assert_names(stripped, names)

    def test_stubs_are_named_after_what_they_call(self):
        for flags in (["-fcf-protection=none"], ["-fcf-protection=full", "-Wl,-z,ibtplt"]):
            with self.subTest(flags=flags):
                program = self.build(*flags)
                stubs = {}
                section = ".plt.sec" if ".plt.sec" in run("readelf", "-SW", program) else ".plt"
                for line in run("objdump", "-d", "-j", section, program).splitlines():
                    found = re.fullmatch(r"([0-9a-f]+) <(.+@plt)>:", line)
                    if found:
                        stubs[int(found[1], 16) + 5] = found[2]
                self.assertGreater(len(stubs), 5)
                addresses = sorted(stubs)
                self.assertEqual([a[0][0] for a in ours(program, addresses)], [stubs[a] for a in addresses])

    def test_names_of_rust(self):
        if not shutil.which("rustc"):
            self.skipTest("no rustc")
        source = self.dir / "shop.rs"
        source.write_text(RUST)
        for mangling in [], ["-C", "symbol-mangling-version=v0"]:
            with self.subTest(mangling=mangling):
                program = self.dir / "rust"
                run("rustc", "-O", *mangling, "-o", program, source)
                named = [line.split() for line in run("nm", program).splitlines() if "4shop3tax" in line]
                self.assertTrue(named)
                self.assertEqual(ours(program, [int(named[0][0], 16)])[0][0][0].split("[")[0].split("::h")[0].rsplit("::", 2)[1:],
                                 ["shop", "tax"])

    def test_the_kernels_own_object(self):
        answers = ours("[vdso]", range(0, 0x2000, 8), "--vdso")
        self.assertIn("__vdso_clock_gettime", {name for answer in answers for name, _, _ in answer})

    def test_a_map_of_generated_code(self):
        tmp = self.dir / "proc/1/root/tmp"
        tmp.mkdir(parents=True)
        (tmp / "perf-77.map").write_text("1000 20 first function\nnonsense\n1020 0 empty\n0x1040 0x10 second\n"
                                         "1000 20 newer function\n2000 8 last without end")
        answers = ours("x", [0xFFF, 0x1000, 0x101F, 0x1020, 0x1048, 0x1050, 0x2007], "--proc", self.dir / "proc",
                       "--map-pid", "4d")
        self.assertEqual([a[0][0] if a else None for a in answers],
                         [None, "newer function", "newer function", None, "second", None, "last without end"])


MANY = "".join(f"int function_{i}(int x) {{ return x + {i}; }}\n" for i in range(3000)) + "int main(void) { return 0; }\n"


class Kept(unittest.TestCase):
    """Indexes on disk, and debug files others have."""

    @classmethod
    def setUpClass(cls):
        cls.made = pathlib.Path(tempfile.mkdtemp(prefix="sonde-symbols-"))
        cls.addClassCleanup(shutil.rmtree, cls.made)
        source = cls.made / "many.c"
        source.write_text(MANY)
        run("gcc", "-g1", "-Wl,--build-id", "-o", cls.made / "whole", source)
        run("objcopy", "--strip-all", cls.made / "whole", cls.made / "many")
        run("objcopy", "--only-keep-debug", cls.made / "whole", cls.made / "many.debug")
        cls.build_id = build_id_of(cls.made / "whole")
        names = {a: n for a, _, n in functions(cls.made / "whole") if n.startswith("function_")}
        cls.addresses = sorted(names)[::100]
        cls.want = [names[a] for a in cls.addresses]

    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="sonde-symbols-"))
        self.addCleanup(shutil.rmtree, self.dir)
        self.whole, self.stripped, self.debug = (pathlib.Path(shutil.copy(self.made / n, self.dir)) for n in ("whole", "many", "many.debug"))
        self.disk = self.dir / "disk"

    def look(self, path, *options):
        return status_of(path, self.addresses, "--build-id", self.build_id, "--disk", self.disk, *options)

    def serve(self, answer):
        """The URL of a server that calls answer(handler) for each GET; what was asked for is in self.asked."""
        test = self
        self.asked = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                test.asked.append(self.path)
                answer(self)

            def log_message(self, *_):
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        self.addCleanup(thread.join)
        self.addCleanup(server.server_close)
        self.addCleanup(server.shutdown)
        return f"http://127.0.0.1:{server.server_address[1]}"

    @staticmethod
    def send(handler, body, status=200):
        handler.send_response(status)
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        try:
            handler.wfile.write(body)
        except OSError:
            pass  # they had enough of it

    def serve_file(self, path):
        return self.serve(lambda handler: self.send(handler, path.read_bytes()))

    def test_an_index_outlives_the_agent_and_the_program(self):
        names, counters = self.look(self.whole)
        self.assertEqual(names, self.want)
        self.assertEqual(counters["disk"]["names_written"], 1)
        names, counters = self.look(self.whole)
        self.assertEqual((names, counters["disk"]["names_read"], counters["disk"]["names_written"]), (self.want, 1, 0))
        self.whole.unlink()
        names, counters = self.look(self.whole)
        self.assertEqual((names, counters["objects_missing"]), (self.want, 2))  # told of, and looked for

    def test_a_damaged_index_is_made_again(self):
        self.look(self.whole)
        kept = self.disk / f"{self.build_id}.names"
        data = bytearray(kept.read_bytes())
        data[len(data) // 2] ^= 1
        kept.write_bytes(data)
        names, counters = self.look(self.whole)
        self.assertEqual((names, counters["disk"]["names_damaged"], counters["disk"]["names_written"]), (self.want, 1, 1))
        self.assertNotEqual(kept.read_bytes(), bytes(data))

    def test_lines_are_still_read_where_names_come_from_the_disk(self):
        self.look(self.whole)
        said = run(LOOKUP, "--lines", "--build-id", self.build_id, "--disk", self.disk, self.whole,
                   input=f"{self.addresses[0]:x}\n")
        name, file, line = said.strip("\n").split("\t")
        self.assertEqual((name, os.path.basename(file), int(line)), (self.want[0], "many.c", int(name.split("_")[1]) + 1))

    def test_a_debug_file_is_fetched_once(self):
        url = self.serve_file(self.debug)
        names, counters = self.look(self.stripped, "--debuginfod", url)
        self.assertEqual(names, self.want)
        self.assertEqual(self.asked, [f"/buildid/{self.build_id}/debuginfo"])
        self.assertEqual(counters["debuginfod"]["fetched"], 1)
        self.assertEqual(counters["debuginfod"]["bytes"], self.debug.stat().st_size)
        self.assertEqual((self.disk / f"{self.build_id}.debug").stat().st_mode & 0o777, 0o600)
        names, counters = self.look(self.stripped, "--debuginfod", url)
        self.assertEqual((names, counters["debuginfod"]["wanted"], len(self.asked)), (self.want, 0, 1))

    def test_lines_come_from_a_fetched_file(self):
        url = self.serve_file(self.debug)
        said = run(LOOKUP, "--lines", "--build-id", self.build_id, "--disk", self.disk, "--debuginfod", url, self.stripped,
                   input=f"{self.addresses[5]:x}\n")
        name, file, line = said.strip("\n").split("\t")
        self.assertEqual((name, os.path.basename(file), int(line)), (self.want[5], "many.c", int(name.split("_")[1]) + 1))

    def test_the_next_server_is_asked_when_one_has_it_not(self):
        without = self.serve(lambda handler: self.send(handler, b"no", 404))
        url = self.serve_file(self.debug)
        names, counters = self.look(self.stripped, "--debuginfod", f"ima:enforcing {without} {url}/")
        self.assertEqual((names, counters["debuginfod"]["servers"], counters["debuginfod"]["fetched"]), (self.want, 2, 1))

    def test_nobody_is_asked_for_what_is_here(self):
        url = self.serve_file(self.debug)
        names, counters = self.look(self.whole, "--debuginfod", url)
        self.assertEqual((names, counters["debuginfod"]["wanted"], self.asked), (self.want, 0, []))

    def assert_lost(self, why, url, *options):
        names, counters = self.look(self.stripped, "--debuginfod", url, *options)
        self.assertEqual(set(names), {""})
        self.assertEqual({k: n for k, n in counters["debuginfod"]["lost"].items() if n}, {why: 1})
        self.assertEqual((counters["debuginfod"]["wanted"], counters["debuginfod"]["waiting"]), (1, 0))
        self.assertEqual([p.name for p in self.disk.iterdir()], [])

    def test_what_goes_wrong_is_counted_and_leaves_nothing(self):
        other = self.dir / "other.debug"
        (self.dir / "other.c").write_text("int main(void) { return 1; }")
        run("gcc", "-g", "-o", other, self.dir / "other.c")
        half = self.debug.read_bytes()[:5000]
        ended = threading.Event()
        self.addCleanup(ended.set)

        def stop_short(handler):
            handler.send_response(200)
            handler.send_header("Content-Length", str(self.debug.stat().st_size))
            handler.end_headers()
            handler.wfile.write(half)

        for why, answer, options in [
            ("missing", lambda h: self.send(h, b"not here", 404), []),
            ("wrong_file", lambda h: self.send(h, other.read_bytes()), []),
            ("wrong_file", lambda h: self.send(h, half[:1000]), []),
            ("wrong_file", lambda h: self.send(h, b""), []),
            ("failed", lambda h: self.send(h, self.debug.read_bytes(), 500), []),
            ("failed", stop_short, []),
            ("too_big", lambda h: self.send(h, self.debug.read_bytes()), ["--disk-bytes", "20000"]),
            ("timeout", lambda h: ended.wait(600), ["--timeout", "200"]),
        ]:
            with self.subTest(why=why):
                self.assert_lost(why, self.serve(answer), *options)
        with self.subTest("nobody listens"):
            self.assert_lost("failed", "http://127.0.0.1:1")


SLEEPER = """
#include <stdio.h>
#include <unistd.h>
int %s(int x) { return x + 1; }
int main(void) { char c; puts("ready"); fflush(stdout); return %s((int)read(0, &c, 1)); }
"""


class Elsewhere(unittest.TestCase):
    """Programs whose files are not where their paths say: deleted, replaced, in another mount namespace or root."""

    def setUp(self):
        self.dir = pathlib.Path(tempfile.mkdtemp(prefix="sonde-symbols-"))
        self.addCleanup(shutil.rmtree, self.dir)

    def build(self, name, function):
        source, out = self.dir / f"{name}.c", self.dir / name
        source.write_text(SLEEPER % (function, function))
        run("gcc", "-g", "-O0", "-Wl,--build-id", "-static-pie", "-o", out, source)
        return out

    def start(self, *command, path):
        """(process that has `path` mapped, START-END of its code)"""
        process = subprocess.Popen([str(c) for c in command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.wait)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.stdin.close)
        self.assertEqual(process.stdout.readline(), "ready\n")
        maps = pathlib.Path(f"/proc/{process.pid}/maps").read_text()
        return process, re.search(rf"^(\S+) r-xp .*{re.escape(str(path))}", maps, re.M)[1]

    def look(self, path, address, process, code, *options):
        named = ours(path, [address], "--pid", process.pid, "--map", code, *options)[0]
        return named[0][0] if named else None

    @staticmethod
    def address_of(path, function):
        return next(a for a, _, name in functions(path) if name == function)

    def test_a_program_that_was_deleted_or_replaced(self):
        program = self.build("program", "the_old_one")
        build_id, address = build_id_of(program), self.address_of(program, "the_old_one")
        process, code = self.start(program, path=program)
        program.unlink()
        try:
            os.stat(f"/proc/{process.pid}/map_files/{code}")
        except PermissionError:
            self.skipTest("map_files may not be read here")
        self.assertEqual(self.look(program, address, process, code, "--build-id", build_id), "the_old_one")
        shutil.copy(self.build("other", "the_new_one"), program)
        self.assertEqual(self.look(program, address, process, code, "--build-id", build_id), "the_old_one")
        self.assertEqual(self.look(program, address, process, "1000-2000", "--build-id", build_id), None)

    def in_namespace(self, *script):
        return ["unshare", "--user", "--map-root-user", "--mount", "--", "sh", "-ec", "\n".join(script)]

    def need_namespaces(self):
        if not shutil.which("unshare") or subprocess.run(self.in_namespace("mount -t tmpfs none " + str(self.dir)),
                                                         capture_output=True, check=False).returncode != 0:
            self.skipTest("no mount namespaces here")

    def test_a_program_in_a_mount_namespace(self):
        self.need_namespaces()
        inside, decoy = self.build("inside", "in_the_container"), self.build("decoy", "on_the_host")
        place = self.dir / "app"
        place.mkdir()
        shutil.copy(decoy, place / "program")  # the same path means another file out here
        process, code = self.start(*self.in_namespace(f"mount -t tmpfs none {place}", f"cp {inside} {place}/program",
                                                      f"exec {place}/program"), path=place / "program")
        address = self.address_of(inside, "in_the_container")
        for options in ["--build-id", build_id_of(inside)], []:
            # without a build-id, and by /proc/PID/root only
            self.assertEqual(self.look(place / "program", address, process, "1000-2000", *options), "in_the_container")

    def test_a_program_in_another_root_with_its_debug_file(self):
        self.need_namespaces()
        whole = self.build("whole", "in_the_container")
        build_id, root = build_id_of(whole), self.dir / "root"
        debug = root / "debug/.build-id" / build_id[:2] / f"{build_id[2:]}.debug"
        debug.parent.mkdir(parents=True)
        run("objcopy", "--only-keep-debug", whole, debug)
        run("objcopy", "--strip-all", whole, root / "program")
        process, code = self.start(*self.in_namespace(f"exec chroot {root} /program"), path="/program")
        address = self.address_of(whole, "in_the_container")
        said = ours("/program", [address], "--lines", "--pid", process.pid, "--map", code, "--build-id", build_id,
                    "--debug-dir", "/debug")
        self.assertEqual(said, [[("in_the_container", "whole.c", 4)]])

    def test_links_in_a_container_do_not_lead_out_of_it(self):
        self.need_namespaces()
        secret, root = self.build("secret", "of_the_host"), self.dir / "root"
        root.mkdir()
        shutil.copy(self.build("inside", "in_the_container"), root / "program")
        (root / "link").symlink_to(secret)
        process, _ = self.start(*self.in_namespace(f"exec chroot {root} /program"), path="/program")
        address = self.address_of(secret, "of_the_host")
        self.assertEqual(self.look("/link", address, process, "1000-2000"), None)


if __name__ == "__main__":
    unittest.main()
