"""What the traced program, the agent and the intake do while one of the others is gone.

Short forms take seconds; SONDE_SOAK=1 keeps the others away for half a minute, with the agent's own pauses.
"""

import array
import signal
import sys
import time
import unittest

sys.path.insert(0, sys.path[0] + "/../support")
from stack import SANITIZED, SOAK, Stack, sum_of, wait_until

RATE = 750 if SANITIZED else 1500  # traces a second, 2.5 spans each
AWAY_S = 30 if SOAK else 3
PATIENT_AGENT = {} if not SOAK else {"DD_FORWARDER_BACKOFF_BASE": "2", "DD_FORWARDER_BACKOFF_MAX": "64"}
UPLOADS = 4  # DD_FORWARDER_MAX_CONCURRENT_REQUESTS
UPLOAD_SPANS = 5 * RATE  # more than the load makes between two uploads


def spans_of(stored):
    return sum(sum(spans.values()) for spans in stored.values())


class Journey(unittest.TestCase):
    program_env = None

    def setUp(self):
        self.stack = self.enterContext(Stack())

    def start(self, rate=RATE, program_env=None, **agent_env):
        self.stack.start_intake()
        self.stack.start_agent(**{**PATIENT_AGENT, **agent_env})
        self.ids = self.stack.dir / "ids"
        self.load = self.stack.start_program("traced_load", rate, 2, self.ids, env=program_env or self.program_env)
        self.run_for(1)

    def run_for(self, seconds):
        """Load goes on meanwhile, and the program is seen to work."""
        before = self.load.ask("counters")
        time.sleep(seconds)

        def goes_on():
            after = self.load.ask("counters")
            return after if after["spans_started"] > before["spans_started"] else None
        after = wait_until("the program goes on", goes_on)
        self.check_program(after, exact=False)
        return after

    def check_program(self, c, exact=True):
        """accepted = delivered + dropped + queued, below the cap, and no network call on its own threads."""
        self.assertIn(c["network_calls"], (0, -1))
        self.assertLessEqual(c["memory_peak_bytes"], c["memory_max_bytes"])
        if exact:
            self.assertEqual(c["spans_started"], c["spans_open"] + c["spans_finished"])
            self.assertEqual(c["spans_finished"], c["spans_delivered"] + sum_of(c["spans_dropped"]) + c["spans_queued"])
            self.assertEqual(c["chunks_queued_total"],
                             c["chunks_delivered"] + sum_of(c["chunks_dropped"]) + c["chunks_queued"])

    def stop_program(self):
        """Its last counters, and {trace id: spans} of what it produced."""
        end = self.load.ask("stop")
        self.load.wait()
        self.check_program(end)
        self.assertEqual(0, end["spans_open"] + end["spans_queued"])
        return end, {i: 1 + i % 4 for i in array.array("Q", self.ids.read_bytes())}

    def check_stored(self, produced, again_at_most=0):
        """Every span produced is stored, once; uploads whose answer was cut off may be there more often.

        A kill can fall between the commit and the answer, and an intake that hangs stores, when it goes on, what
        its sender has given up and sent again.  Nothing in the protocol lets an intake know that a payload comes
        again, so such a payload is stored again: `again_at_most` spans together.
        """
        stored = self.stack.stored()
        spans = spans_of(stored)
        again = spans - sum(produced.values())
        missing = [t for t, n in produced.items() if len(stored.get(t, ())) < n]
        odd = [t for t, s in stored.items() if len(s) != produced.get(t)]
        self.assertEqual(0, len(missing), f"traces not stored, of {len(produced)}")
        self.assertEqual(0, len(odd), "traces that nobody produced")
        self.assertLessEqual(again, again_at_most)
        print(f"  {len(produced)} traces, {spans} spans stored, {again} of them again")

    def retries(self):
        return self.stack.agent_status()["forwarder"][0]["retries"]

    def check_conserved(self, again_at_most=lambda: 0):
        """Produced, received by the agent, forwarded and stored: the same number, and no drops."""
        end, produced = self.stop_program()
        self.assertEqual(end["spans_finished"], sum(produced.values()))
        agent = self.stack.await_drained(received=end["spans_delivered"])
        self.assertEqual({"spans": 0, "chunks": 0}, agent["dropped"])
        self.assertEqual(0, sum_of(end["spans_dropped"]), end["spans_dropped"])
        self.assertEqual(end["spans_finished"], agent["received"]["spans"])
        self.assertEqual(end["chunks_delivered"], agent["received"]["chunks"])
        self.assertEqual(agent["received"], agent["forwarded"])
        self.check_stored(produced, again_at_most())
        self.stack.agent.stop()
        self.stack.intake.stop()


class IntakeOutage(Journey):
    # The agent is there, and answers when the machine lets it: a program that gives up on it is not what these are about.
    program_env = {"DD_TRACE_AGENT_TIMEOUT": "300", "SONDE_TRACE_EXIT_TIMEOUT_MS": "300000"}

    def test_nothing_is_lost_when_the_intake_is_killed_under_load_and_comes_back(self):
        self.start()

        self.stack.intake.kill()
        self.run_for(AWAY_S)
        self.assertGreater(self.stack.agent_counts()["waiting"], 0)
        self.stack.start_intake()
        self.run_for(1)

        self.check_conserved(again_at_most=lambda: UPLOADS * UPLOAD_SPANS)

    def test_nothing_is_lost_when_the_intake_is_killed_again_and_again(self):
        self.start()

        kills = 50 if SOAK else 5
        for _ in range(kills):
            self.stack.intake.kill()
            self.run_for(0.3)
            self.stack.start_intake()
            self.run_for(0.3)

        self.check_conserved(again_at_most=lambda: kills * UPLOADS * UPLOAD_SPANS)

    def test_nothing_is_lost_or_doubled_when_the_intake_is_stopped_for_less_than_the_timeout_of_an_upload(self):
        self.start()

        self.stack.intake.signal(signal.SIGSTOP)
        self.run_for(10 if SOAK else 3)
        self.stack.intake.signal(signal.SIGCONT)

        self.check_conserved()

    def test_nothing_is_lost_when_the_intake_hangs_for_longer_than_the_timeout_of_an_upload(self):
        self.start(DD_FORWARDER_TIMEOUT="1")

        self.stack.intake.signal(signal.SIGSTOP)
        self.run_for(2)
        wait_until("an upload is given up", lambda: self.retries() > 0)
        self.stack.intake.signal(signal.SIGCONT)

        # each attempt that ran into the timeout may be stored when the intake goes on
        self.check_conserved(again_at_most=lambda: self.retries() * UPLOAD_SPANS)

    def test_what_does_not_fit_into_the_agents_memory_is_dropped_oldest_first_and_counted(self):
        self.start(DD_FORWARDER_RETRY_QUEUE_PAYLOADS_MAX_SIZE="64KiB")

        self.stack.intake.kill()
        wait_until("the oldest go", lambda: self.stack.agent_counts()["dropped"]["spans"] > 0)
        self.stack.start_intake()

        end, produced = self.stop_program()
        agent = self.stack.await_drained(received=end["spans_delivered"])
        dropped = self.stack.agent_status()["forwarder"][0]["traces"]["dropped"]
        self.assertLessEqual(set(dropped), {"budget", "too_big"})  # an agent that could not run for long sends large bodies
        self.assertEqual(end["spans_finished"], agent["forwarded"]["spans"] + agent["dropped"]["spans"])
        stored = self.stack.stored()
        self.assertGreaterEqual(spans_of(stored), agent["forwarded"]["spans"])
        self.assertLessEqual(set(stored), set(produced))


class AgentOutage(Journey):
    def check_memory(self, c):
        if not SANITIZED:
            self.assertLessEqual(c["hwm_grown_kib"] * 1024, c["memory_max_bytes"] + (4 << 20))

    def test_the_program_runs_on_when_the_agent_is_killed_and_traces_resume_when_it_is_back(self):
        self.start()

        self.stack.agent.kill()
        away = self.run_for(AWAY_S)
        stored_before = self.stack.intake_counters()["stored"]["spans"]
        self.stack.start_agent()
        wait_until("traces resume", lambda: self.stack.agent_counts()["received"]["spans"] > 0)
        self.run_for(1)

        self.load.ask("pause")
        end, produced = self.stop_program()
        agent = self.stack.await_drained()
        stored = self.stack.stored()
        self.assertGreater(end["spans_delivered"], away["spans_delivered"])
        self.assertLessEqual(set(k for k, n in end["spans_dropped"].items() if n), {"agent_unreachable"})
        # the new life of the agent: all it received is stored; together with the old one never more than delivered
        self.assertEqual(agent["received"], agent["forwarded"])
        spans = spans_of(stored)
        self.assertEqual(agent["forwarded"]["spans"], spans - stored_before)
        self.assertLessEqual(spans, end["spans_delivered"])
        self.assertEqual(0, len([t for t, s in stored.items() if sum(s.values()) != produced.get(t)]))
        self.check_memory(end)
        print(f"  {end['spans_finished']} spans, {sum_of(end['spans_dropped'])} dropped by the program, "
              f"{end['spans_delivered'] - spans} died with the agent, peak {end['memory_peak_bytes'] >> 10} KiB")

    def test_a_program_that_produces_more_than_it_may_hold_stays_below_the_cap_while_the_agent_hangs(self):
        self.start(rate=4 * RATE, program_env={"SONDE_TRACE_MEMORY": "1MiB"})

        self.stack.agent.signal(signal.SIGSTOP)
        wait_until("memory is used up", lambda: self.load.ask("counters")["spans_dropped"]["no_memory"] > 0)
        away = self.run_for(AWAY_S)
        self.stack.agent.signal(signal.SIGCONT)
        wait_until("traces resume",
                   lambda: self.load.ask("counters")["spans_delivered"] > away["spans_delivered"] + 1000)

        end, produced = self.stop_program()
        agent = self.stack.await_drained(received=end["spans_delivered"])
        self.assertEqual(agent["received"], agent["forwarded"])
        self.assertGreaterEqual(agent["received"]["spans"], end["spans_delivered"])
        self.assertLessEqual(set(self.stack.stored()), set(produced))
        self.check_memory(end)
        print(f"  {end['spans_finished']} spans, {sum_of(end['spans_dropped'])} dropped, "
              f"peak {end['memory_peak_bytes'] >> 10} of {end['memory_max_bytes'] >> 10} KiB")

    def test_agent_and_intake_gone_together_come_back_in_either_order(self):
        self.start()

        for first, second in ((self.stack.start_agent, self.stack.start_intake),
                              (self.stack.start_intake, self.stack.start_agent)):
            self.stack.agent.kill()
            self.stack.intake.kill()
            self.run_for(1)
            first()
            self.run_for(0.5)
            second()
            wait_until("traces resume", lambda: self.stack.agent_counts()["forwarded"]["spans"] > 0)

        end, produced = self.stop_program()
        agent = self.stack.await_drained()
        stored = self.stack.stored()
        self.assertEqual(agent["received"], agent["forwarded"])
        self.assertLessEqual(set(stored), set(produced))
        self.assertLessEqual(spans_of(stored), end["spans_delivered"])


if __name__ == "__main__":
    unittest.main(verbosity=2)
