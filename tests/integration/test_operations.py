"""What operators do with the agent: check its configuration, reload it, look into it."""

import signal
import subprocess
import sys
import unittest

sys.path.insert(0, sys.path[0] + "/../support")
from stack import Stack, wait_until

KEY = "0123456789abcdef0123456789abcdef"  # of the tests: must never be seen again


class Operations(unittest.TestCase):
    def setUp(self):
        self.stack = self.enterContext(Stack())
        self.sonde = self.stack.build / "bin/sonde"

    def run_sonde(self, *arguments, **env):
        """(exit status, standard output, standard error) of a command that ends by itself."""
        done = subprocess.run([str(self.sonde), *map(str, arguments)], capture_output=True, text=True, timeout=120,
                              env={"PATH": "/usr/bin:/bin", "HOME": str(self.stack.dir), **env})
        self.assertNotIn(KEY, done.stdout + done.stderr)
        return done.returncode, done.stdout, done.stderr

    def write(self, name, text):
        path = self.stack.dir / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def log(self):
        return self.stack.agent.log.read_text(errors="replace")


class CheckConfig(Operations):
    def test_every_key_is_shown_with_its_value_and_origin(self):
        file = self.write("datadog.yaml", f"api_key: {KEY}\nenv: one\nlog_to_syslog: true\n")
        self.write("conf.d/10.yaml", "site: two.example\n")
        status, out, _ = self.run_sonde("agent", "-c", file, "--check-config", DD_APM_ERROR_TPS="3")
        self.assertEqual(status, 0, out)
        self.assertIn("api_key: ***cdef  # ", out)
        self.assertIn(f"env: one  # {file}:2:1", out)
        self.assertIn(f"site: two.example  # {file.parent}/conf.d/10.yaml:1:1", out)
        self.assertIn("apm_config.errors_per_second: 3  # DD_APM_ERROR_TPS", out)
        self.assertIn("log_to_syslog has no effect here", out)
        self.assertIn("configuration is good", out)

    def test_what_is_wrong_makes_the_exit_status(self):
        for text, says in [("apm_config:\n  receiver_port: http\n", "warning: "),
                           ("nonsense: 1\n", "unknown key"),
                           ("sonde:\n  local:\n    enabled: false\n", "nowhere to send"),
                           (f"api_key: {KEY}\napm_config:\n  receiver_port: 0\n  receiver_socket: ''\n",
                            "nowhere to listen")]:
            status, out, _ = self.run_sonde("agent", "-c", self.write("datadog.yaml", text), "--check-config")
            self.assertEqual(status, 1, out)
            self.assertIn(says, out)
        status, _, error = self.run_sonde("agent", "-c", self.write("datadog.yaml", "a: ["), "--check-config")
        self.assertEqual(status, 1)
        self.assertIn("datadog.yaml:", error)


class Reload(Operations):
    def reload(self, text, says):
        self.file.write_text(text)
        before = self.log().count(says)
        self.stack.agent.signal(signal.SIGHUP)
        wait_until(lambda: f"{says!r} in {self.log()}", lambda: self.log().count(says) > before)

    def test_sighup_takes_over_what_it_can_and_names_the_rest(self):
        self.file = self.write("datadog.yaml", "log_level: info\n")
        self.stack.start_intake()
        self.stack.start_agent("-c", self.file, DD_API_KEY=KEY, DD_APM_TARGET_TPS=None)
        self.reload("log_level: debug\nenv: other\napm_config:\n  target_traces_per_second: 3\n",
                    "reload done: changes=3")
        self.assertIn("reload: log_level changed", self.log())
        self.assertIn("reload: env changed, which takes a restart", self.log())
        self.reload("log_level: [", "reload failed, going on as before")
        self.reload("log_level: info\n", "reload done: changes=3")
        self.assertNotIn(KEY, self.log())


if __name__ == "__main__":
    unittest.main(verbosity=2)
