"""Batches of the profiler to an agent, profiles of the agent to an intake: the whole way over sockets.

The worked example of docs/spec/profile-batch.md arrives as a pprof that says field by field what the batch said; a
batch nobody can use is refused by reason; and every row is uploaded or counted.
"""

import sys
import unittest
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "support"))

import spb  # noqa: E402
from profile_intake import ProfileIntake  # noqa: E402
from stack import Stack, request, sum_of, wait_until  # noqa: E402

PATH = "/sonde/profiling/v1/batch"
SECOND = 10**9


class Agent:
    """A Stack whose profiles go to a recording intake; windows of a second."""

    def __enter__(self):
        self.intake = ProfileIntake().__enter__()
        self.stack = Stack().__enter__()
        return self

    def __exit__(self, *what):
        self.stack.__exit__(*what)
        self.intake.__exit__(*what)

    def start(self, **env):
        self.stack.start_agent(DD_APM_DD_URL="http://127.0.0.1:9", DD_APM_PROFILING_DD_URL=self.intake.url,
                               **{"SONDE_AGENT_PROFILING_WINDOW": "1", **env})

    def post(self, body, **headers):
        return request(self.stack.agent_port, "POST", PATH, body,
                       {"Content-Type": "application/msgpack", **{k.replace("_", "-"): v for k, v in headers.items()}})

    def counters(self):
        return self.stack.agent_status()["profiles"]

    def assert_law(self, test):
        c = self.counters()
        test.assertEqual(c["batches_received"], c["batches_taken"] + c["batches_repeated"] + c["batches_resync"] +
                         sum_of(c["batches_refused"]), c)
        test.assertEqual(c["rows_received"], c["rows_uploaded"] + sum_of(c["rows_dropped"]) + c["rows_held"], c)
        return c


class Profiles(unittest.TestCase):
    def test_the_worked_example_arrives_as_a_pprof(self):
        with Agent() as a:
            a.start()
            self.assertIn(PATH, a.stack._await_answer(a.stack.agent, a.stack.agent_port, "/info")["endpoints"])

            self.assertEqual(a.post(spb.EXAMPLE), (200, b'{"ack":7}'))

            upload = a.intake.await_uploads(1)[0]
            self.assertEqual(upload.path, "/api/v2/profile")
            self.assertEqual(upload.event["family"], "native")
            self.assertEqual(upload.tags["process_id"], "4242")
            p = upload.profile
            self.assertEqual(p.sample_types, [("cpu-samples", "count"), ("cpu-time", "nanoseconds")])
            self.assertEqual([s["value"] for s in p.samples], [[2, 20000000]])
            self.assertEqual(p.samples[0]["label"]["thread id"], 4242)
            self.assertEqual(p.samples[0]["label"]["trace endpoint"], "GET /")
            c = a.assert_law(self)
            self.assertEqual(c["rows_uploaded"], 2)


if __name__ == "__main__":
    unittest.main()
