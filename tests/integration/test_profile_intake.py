"""Uploads of profilers to the intake that comes with Sonde: what was acknowledged is stored, listed and merged.

The profiles are made by hand (support/profile_maker.py), so that every sum is known.
"""

import gzip
import json
import re
import sys
import time
import unittest
from pathlib import Path
from urllib.parse import urlencode

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import pprof  # noqa: E402
from profile_maker import ProfileMaker, body, event, send  # noqa: E402
from stack import Stack, get_json, request, sum_of, wait_until  # noqa: E402

SECOND = 10**9
START = (int(time.time()) - 600) * SECOND
TYPES = [("cpu-samples", "count"), ("cpu-time", "nanoseconds")]
LIBC = ("memcpy", "/lib/libc.so.6", "")


def shop_profile():
    p = ProfileMaker(TYPES)
    p.sample(["main", "serve", "parse"], [1, 10], {"thread name": "worker", "trace endpoint": "GET /", "span id": 71,
                                                   "local root span id": 7})
    p.sample(["main", "serve", LIBC], [3, 30], {"thread name": "worker", "span id": 8, "local root span id": 8})
    p.sample(["main", "idle"], [6, 60], {"thread name": "main"})
    return gzip.compress(p.message())


class Intake:
    def __enter__(self):
        self.stack = Stack().__enter__()
        self.stack.start_intake()
        self.url = f"http://127.0.0.1:{self.stack.intake_port}"
        return self

    def __exit__(self, *what):
        self.stack.__exit__(*what)

    def get(self, path="", **parameters):
        query = {"from": START // SECOND - 60, "to": START // SECOND + 3600, **parameters}
        return get_json(self.stack.intake_port, f"/api/sonde/v1/profiles{path}?{urlencode(query)}")

    def send(self, start=START, data=None, service="shop", **kind):
        return send(self.url, event(service, start, start + 60 * SECOND), {"profile.pprof": data or shop_profile()}, **kind)

    def tree(self, **parameters):
        """{path of names: (self, total)}"""
        answer = self.get("/flamegraph", service="shop", min_share=0, **parameters)
        paths, found = [], {}
        for i, (parent, frame, *values) in enumerate(answer["nodes"]):
            name = answer["frames"][frame][0]
            paths.append(f"{paths[parent]};{name}" if i and paths[parent] else name)
            found[paths[i]] = tuple(values)
        return found


class ProfileIntake(unittest.TestCase):
    def test_what_was_acknowledged_is_there_after_a_kill(self):
        with Intake() as i:
            self.assertEqual(i.send(), (202, "{}"))
            i.stack.intake.kill()
            i.stack.start_intake()
            listed = i.get()
            self.assertEqual([p["service"] for p in listed["profiles"]], ["shop"])
            self.assertEqual(listed["profiles"][0]["samples"], 3)
            self.assertEqual(listed["profiles"][0]["start_unix_ns"], str(START))
            self.assertEqual([t["type"] for t in listed["types"]], ["cpu-samples", "cpu-time"])

    def test_profiles_of_a_service_become_one_tree(self):
        with Intake() as i:
            i.send()
            i.send(START + 60 * SECOND)
            i.send(service="other")
            tree = i.tree()
            self.assertEqual(tree[""], (0, 200))
            self.assertEqual(tree["main"], (0, 200))
            self.assertEqual(tree["main;serve"], (0, 80))
            self.assertEqual(tree["main;serve;memcpy"], (60, 60))
            self.assertEqual(tree["main;idle"], (120, 120))
            self.assertEqual(i.tree(type="cpu-samples")["main"], (0, 20))
            self.assertEqual(i.tree(inverted=1)["memcpy;serve;main"], (60, 60))

    def test_filters_of_the_flame_graph(self):
        with Intake() as i:
            i.send()
            for total, parameters in ((40, {"thread": "worker"}), (10, {"endpoint": "GET /"}), (40, {"root": "7,8"}),
                                      (10, {"span": "71"}), (30, {"object": r"libc\.so"}), (60, {"frame": "^idle$"}),
                                      (0, {"thread": "nobody"})):
                with self.subTest(**parameters):
                    self.assertEqual(i.tree(**parameters)[""][1], total)
            self.assertEqual(i.tree(focus="serve"), {"": (0, 40), "serve": (0, 40), "serve;parse": (10, 10),
                                                     "serve;memcpy": (30, 30)})

    def test_a_comparison_has_both_sides(self):
        with Intake() as i:
            i.send()
            later = ProfileMaker(TYPES)
            later.sample(["main", "serve", "parse"], [1, 90])
            i.send(START + 1000 * SECOND, gzip.compress(later.message()))
            tree = i.tree(**{"from": START // SECOND + 900, "base_from": START // SECOND - 60,
                             "base_to": START // SECOND + 120})
            self.assertEqual(tree["main;serve;parse"], (90, 90, 10, 10))
            self.assertEqual(tree["main;idle"], (0, 0, 60, 60))

    def test_functions_by_their_own_time(self):
        with Intake() as i:
            i.send()
            top = i.get("/top", service="shop")
            self.assertEqual([(r["name"], r["self"], r["total"]) for r in top["rows"]],
                             [("idle", 60, 60), ("memcpy", 30, 30), ("parse", 10, 10), ("main", 0, 100), ("serve", 0, 40)])
            self.assertEqual(top["functions"], 5)
            by_total = i.get("/top", service="shop", sort="total", limit=2)
            self.assertEqual([r["name"] for r in by_total["rows"]], ["main", "idle"])
            same = i.get("/top", service="shop", base_service="shop")
            self.assertEqual([(r["base_self"], r["z"]) for r in same["rows"]], [(60, 0), (30, 0), (10, 0), (0, 0), (0, 0)])

    def test_time_of_samples_that_say_it_and_of_profiles(self):
        with Intake() as i:
            p = ProfileMaker(TYPES)
            p.sample(["main"], [1, 5], {"end_timestamp_ns": START + 30 * SECOND})
            i.send(data=gzip.compress(p.message()))
            line = i.get("/timeline", service="shop", **{"from": START // SECOND, "to": START // SECOND + 100})
            self.assertEqual((line["step_s"], line["start"]), (1, START // SECOND))
            self.assertEqual({n: v for n, v in enumerate(line["values"]) if v}, {30: 5})
            both = i.get("/flamegraph", service="shop", timeline=1, **{"from": START // SECOND, "to": START // SECOND + 100})
            self.assertEqual((both["values"], both["start"]), (line["values"], line["start"]))
            i.send()  # no times: 100 over a minute
            line = i.get("/timeline", service="shop", **{"from": START // SECOND - 400, "to": START // SECOND + 400})
            self.assertEqual(line["step_s"], 5)
            self.assertLess(abs(sum(line["values"]) - 105), len(line["values"]))  # each is rounded

    def test_what_each_thread_did_when(self):
        with Intake() as i:
            p = ProfileMaker([("cpu-time", "nanoseconds"), ("wall-time", "nanoseconds"), ("alloc-space", "bytes")])
            at = lambda s: {"end_timestamp_ns": START + s * SECOND}
            busy, idle = {"thread name": "busy", "thread id": 11}, {"thread name": "idle", "thread id": 12}
            p.sample(["main", "work"], [2 * SECOND, 0, 0], {**busy, **at(10)})
            p.sample(["main", "work"], [0, 2 * SECOND, 0], {**busy, **at(10), "thread state": "running"})
            p.sample(["main", "lock"], [0, SECOND, 0], {**busy, **at(11), "thread state": "lock"})
            p.sample(["main", "rest"], [0, 4 * SECOND, 0], {**idle, **at(12), "thread state": "sleep"})
            p.sample(["main", "make"], [0, 0, 4096], {**idle, **at(20)})
            i.send(data=gzip.compress(p.message()))

            a = i.get("/lanes", **{"from": START // SECOND, "to": START // SECOND + 200}, service="shop")
            self.assertEqual((a["step_ms"], a["start_ms"]), (1000, START // SECOND * 1000))
            self.assertEqual(a["kinds"], ["running", "io", "lock", "waiting"])
            self.assertEqual([(x["name"], x["id"]) for x in a["lanes"]], [("busy", "11"), ("idle", "12")])
            seconds = [[{s: v // SECOND for s, v in enumerate(kind) if v} for kind in x["values"]] for x in a["lanes"]]
            self.assertEqual(seconds, [[{8: 1, 9: 1}, {}, {10: 1}, {}], [{}, {}, {}, {8: 1, 9: 1, 10: 1, 11: 1}]])

            a = i.get("/lanes", service="shop", type="alloc-space", limit=1)
            self.assertEqual((a["kinds"], sum(a["lanes"][0]["values"][0])), (["value"], 4096))
            a = i.get("/lanes", service="shop", frame="^lock$")  # where one function was
            self.assertEqual([x["name"] for x in a["lanes"]], ["busy"])

    def test_traces_whose_requests_were_in_a_function(self):
        with Intake() as i:
            i.send()
            found = i.get("/traces", service="shop", focus="serve")
            self.assertEqual([(t["local_root_span_id"], t["endpoint"], t["value"], t["samples"]) for t in found["traces"]],
                             [("8", "", 30, 1), ("7", "GET /", 10, 1)])
            self.assertEqual((found["total"], found["with_spans"]), (40, 40))
            spans = i.get("/flamegraph", service="shop", root=7)["spans"]
            self.assertEqual(spans, [{"name": "71", "value": 10}])

    def download(self, i, **parameters):
        query = urlencode({"from": START // SECOND - 60, "to": START // SECOND + 3600, **parameters})
        return request(i.stack.intake_port, "GET", f"/api/sonde/v1/profiles/download?{query}")

    def test_files_others_can_read(self):
        with Intake() as i:
            i.send()
            i.send(START + 60 * SECOND)
            status, collapsed = self.download(i, service="shop", format="collapsed")
            self.assertEqual(sorted(collapsed.decode().splitlines()),
                             ["main;idle 120", "main;serve;memcpy 60", "main;serve;parse 20"])
            merged = pprof.read(self.download(i, service="shop", format="pprof")[1])
            self.assertEqual(sorted(merged.rows(), key=str), [
                (["main", "idle"], {"cpu-samples": 12, "cpu-time": 120}, {"thread name": "main"}),
                (["main", "serve", "memcpy"], {"cpu-samples": 6, "cpu-time": 60},
                 {"thread name": "worker", "span id": 8, "local root span id": 8}),
                (["main", "serve", "parse"], {"cpu-samples": 2, "cpu-time": 20},
                 {"thread name": "worker", "trace endpoint": "GET /", "span id": 71, "local root span id": 7})])
            self.assertEqual(merged.duration_nanos, 120 * SECOND)
            self.assertEqual(merged.default_sample_type, "cpu-time")
            one = pprof.read(self.download(i, id=i.get()["profiles"][0]["id"], format="pprof")[1])
            self.assertEqual(one.rows()[2], (["main", "idle"], {"cpu-samples": 6, "cpu-time": 60}, {"thread name": "main"}))
            self.assertEqual(self.download(i, service="shop", format="svg")[0], 400)
            self.assertEqual(self.download(i, service="nobody", format="pprof")[0], 404)

    def test_speedscope_has_a_profile_of_each_type(self):
        with Intake() as i:
            i.send()
            scope = json.loads(self.download(i, service="shop", format="speedscope")[1])
            self.assertEqual(scope["$schema"], "https://www.speedscope.app/file-format-schema.json")
            self.assertEqual([(p["type"], p["name"], p["unit"], p["endValue"]) for p in scope["profiles"]],
                             [("sampled", "cpu-samples", "none", 10), ("sampled", "cpu-time", "nanoseconds", 100)])
            time_of = {";".join(scope["shared"]["frames"][f]["name"] for f in stack): weight for stack, weight in
                       zip(scope["profiles"][1]["samples"], scope["profiles"][1]["weights"])}
            self.assertEqual(time_of, {"main;idle": 60, "main;serve;memcpy": 30, "main;serve;parse": 10})

    def inlined(self, profile):
        return [name for i in profile.locations for name in profile.names(i)[:-1]]

    def test_inlined_functions_are_told_in_every_file(self):
        with Intake() as i:
            p = ProfileMaker(TYPES)
            p.sample(["main", "work+add", "leaf"], [1, 10])
            p.sample(["main", "work+add+carry"], [2, 20])
            p.sample(["main", "work", "add"], [4, 40])
            p.sample(["main", ("sys_read", "[kernel.kallsyms]", "")], [8, 80])
            i.send(data=gzip.compress(p.message()))

            answer = i.get("/flamegraph", service="shop", min_share=0)
            self.assertEqual([answer["frames"][answer["nodes"][n][1]][0] for n in answer["inlined"]], ["add", "carry"])
            self.assertEqual(sorted(self.download(i, service="shop", format="collapsed")[1].decode().splitlines()), [
                "main;sys_read_[k] 80", "main;work;add 40", "main;work;add_[i];carry_[i] 20", "main;work;add_[i];leaf 10"])
            scope = json.loads(self.download(i, service="shop", format="speedscope")[1])
            names = [scope["shared"]["frames"][f]["name"] for f in sum(scope["profiles"][0]["samples"], [])]
            self.assertEqual({n for n in names if "inlined" in n}, {"add (inlined)", "carry (inlined)"})

            # in pprof they are lines of one location
            merged = pprof.read(self.download(i, service="shop", format="pprof")[1])
            self.assertEqual(sorted(";".join(stack) for stack, _, _ in merged.rows()),
                             ["main;sys_read", "main;work;add", "main;work;add;carry", "main;work;add;leaf"])
            self.assertEqual(sorted(self.inlined(merged)), ["add", "add", "carry"])  # of work+add, of work+add+carry
            upside_down = pprof.read(self.download(i, service="shop", format="pprof", inverted=1)[1])
            self.assertEqual(self.inlined(upside_down), [])

    def test_a_page_for_itself(self):
        with Intake() as i:
            evil = ProfileMaker(TYPES)
            evil.sample(["</script><b>"], [1, 10])
            i.send(data=gzip.compress(evil.message()))
            status, page = self.download(i, service="shop", format="html")
            text = page.decode()
            self.assertEqual(status, 200)
            self.assertIsNone(re.search(r"(src|href)=|@import|https?://", text))  # nothing is loaded
            self.assertEqual(text.count("</script>"), 2)
            data = re.search(r"const answer = (.*);</script>", text)[1]
            self.assertEqual(json.loads(data)["frames"][1][0], "</script><b>")

    def test_questions_that_make_no_sense_are_400(self):
        with Intake() as i:
            for query in ("frame=(", "span=x", "min_share=2", "id=7", "base_from=yesterday", "depth=0"):
                with self.subTest(query=query):
                    status, _ = request(i.stack.intake_port, "GET", f"/api/sonde/v1/profiles/flamegraph?{query}")
                    self.assertEqual(status, 400)
            status, _ = request(i.stack.intake_port, "GET", "/api/sonde/v1/profiles/nothing")
            self.assertEqual(status, 404)

    def test_every_attachment_and_upload_is_counted(self):
        with Intake() as i:
            self.assertEqual(i.send()[0], 202)
            self.assertEqual(i.send(path="/v1/input")[0], 202)
            extra = {"profile.pprof": shop_profile(), "metrics.json": b"{}", "lz.pprof": b"\x04\x22\x4d\x18", "x.pprof": b"<"}
            self.assertEqual(send(i.url, event("shop", START, START), extra)[0], 202)
            self.assertEqual(send(i.url, event("shop", START, START), {"x.pprof": b"<"})[0], 400)
            self.assertEqual(i.send(headers={"DD-API-KEY": ""})[0], 403)
            status, _ = request(i.stack.intake_port, "POST", "/v1/input", b"[]",
                                {"Content-Type": "application/json", "DD-API-KEY": "k"})
            self.assertEqual(status, 202)  # logs come by the same door
            c = i.stack.intake_counters()
            received, dropped = c["received"], c["dropped"]
            self.assertEqual(received["attachments"], received["profiles"] + sum_of(dropped["attachments"]))
            self.assertEqual(dropped["attachments"], {"not_pprof": 1, "lz4": 1, "malformed": 1, "too_big": 0})
            self.assertEqual(received["profiles"],
                             c["stored"]["profiles"] + c["queued"]["profiles"] + sum_of(dropped["profiles"]))
            self.assertEqual((received["profile_payloads"], c["stored"]["profiles"]), (3, 3))
            self.assertEqual((dropped["payloads"]["malformed"], dropped["payloads"]["forbidden"]), (1, 1))
            self.assertEqual(c["ignored_requests"], 1)

    def test_a_trace_has_the_samples_of_its_local_roots_in_its_time(self):
        with Intake() as i:
            i.stack.start_agent()
            now = time.time_ns()
            spans = [{"service": "shop", "name": "op", "resource": f"r{n}", "trace_id": 4242, "span_id": n, "parent_id": p,
                      "start": now, "duration": SECOND, "error": 0, "metrics": {"_sampling_priority_v1": 2}}
                     for n, p in ((7, 0), (8, 7))]
            status, _ = request(i.stack.agent_port, "POST", "/v0.4/traces", json.dumps([spans]).encode(),
                                {"Content-Type": "application/json", "X-Datadog-Trace-Count": "1"})
            self.assertEqual(status, 200)
            wait_until("the trace is stored", lambda: i.stack.intake_counters()["stored"]["spans"] == 2)
            i.send(now - 30 * SECOND)  # roots 7 and 8, and a sample of none
            late = ProfileMaker(TYPES)
            late.sample(["main", "late"], [1, 10], {"local root span id": 7, "end_timestamp_ns": now + 20 * SECOND})
            late.sample(["main", "other"], [1, 10], {"local root span id": 9})
            i.send(now - 30 * SECOND, gzip.compress(late.message()))
            tree = get_json(i.stack.intake_port, "/api/sonde/v1/profiles/flamegraph?trace=4242")
            self.assertEqual(tree["total"], 40)
            self.assertEqual({s["name"]: s["value"] for s in tree["spans"]}, {"71": 10, "8": 30})
            one = get_json(i.stack.intake_port, "/api/sonde/v1/profiles/flamegraph?trace=4242&span=8")
            self.assertEqual(one["total"], 30)
            status, _ = request(i.stack.intake_port, "GET", "/api/sonde/v1/profiles/flamegraph?trace=4243")
            self.assertEqual(status, 404)

    def test_an_agent_passes_profiles_of_other_languages_on(self):
        with Intake() as i:
            i.stack.start_agent(DD_APM_PROFILING_DD_URL=f"{i.url}/api/v2/profile")
            upload = body(event("py", START, START + SECOND, language="python"), {"auto.pprof": shop_profile()})
            status, _ = request(i.stack.agent_port, "POST", "/profiling/v1/input", upload,
                                {"Content-Type": "multipart/form-data; boundary=sonde-7f3a9c0d51e24b68"})
            self.assertEqual(status, 200)
            wait_until("the profile is stored", lambda: i.stack.intake_counters()["stored"]["profiles"] == 1)
            self.assertEqual(i.get()["profiles"][0]["service"], "py")


if __name__ == "__main__":
    unittest.main()
