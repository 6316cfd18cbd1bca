"""sonde-parametric as an agent sees it beside traces: remote configuration, flares, telemetry, discovery.

`python3 test_parametric_agent.py flare` runs the cases whose name has that word.
"""

import email
import email.policy
import io
import json
import os
import sys
import time
import unittest
import zipfile

sys.path.insert(0, sys.path[0] + "/../support")
from parametric import unpack
from parametric_cases import CASES, case, run_cases, same
from stack import wait_until

NO_STATS = {"DD_TRACE_STATS_COMPUTATION_ENABLED": "false"}
SOON = {"DD_SERVICE": "web", "DD_ENV": "prod", "DD_TELEMETRY_HEARTBEAT_INTERVAL": "0.2",
        "DD_REMOTE_CONFIG_POLL_INTERVAL_SECONDS": "0.2", **NO_STATS}


# -- remote configuration -------------------------------------------------------------------------------------


def remote(**lib_config):
    return {"action": "enable", "service_target": {"service": "*", "env": "*"}, "lib_config": lib_config}


@case({"DD_REMOTE_CONFIG_POLL_INTERVAL_SECONDS": "600", **NO_STATS})
def remote_configuration_is_fetched_on_demand_and_in_force_then(s):
    def apply():
        return s.call("/trace/remote-config/apply", {})["applied_configs"]
    same(apply(), [])
    s.agent.set_remote("APM_TRACING", "first", remote(tracing_sampling_rate=0.25, tracing_tags=["team:a"]))
    applied = [{"config_id": "first", "product": "APM_TRACING"}]
    same((apply(), apply()), (applied, applied))
    with s.span("remote"):
        pass
    s.agent.set_remote("APM_TRACING", "first", None)
    same(apply(), [])
    with s.span("local"):
        pass
    s.flush()
    same((s.find("remote")["metrics"]["_dd.rule_psr"], s.find("remote")["meta"]["team"]), (0.25, "a"))
    assert "_dd.rule_psr" not in s.find("local")["metrics"] and "team" not in s.find("local")["meta"]


@case({"DD_REMOTE_CONFIG_POLL_INTERVAL_SECONDS": "600"})
def remote_configuration_switches_tracing_and_back(s):
    for on in (False, True):
        s.agent.set_remote("APM_TRACING", "switch", remote(tracing_enabled=on))
        s.call("/trace/remote-config/apply", {})
        with s.span(f"while {on}") as span:
            assert span > 0
    s.flush()
    same([x["name"] for x in s.spans()], ["while True"])


@case({"DD_REMOTE_CONFIGURATION_ENABLED": "false"})
def remote_configuration_may_be_off(s):
    same(s.raw("POST", "/trace/remote-config/apply", "{}")[0], 404)
    same(s.agent.requests("/v0.7/config"), [])


@case({"SONDE_TEST_LANGUAGE": "cpp", "DD_REMOTE_CONFIG_POLL_INTERVAL_SECONDS": "600"})
def remote_configuration_of_another_library(s):
    s.call("/trace/remote-config/apply", {})
    client = json.loads(s.agent.requests("/v0.7/config")[0].body)["client"]
    same((client["capabilities"], client["client_tracer"]["language"]), ("IAiQAA==", "cpp"))


def wait_for_answer(s, product, since=0):
    """The state that the program gives back for a configuration of that product, of a poll after the first `since`."""
    def found():
        for request in s.agent.requests("/v0.7/config")[since:]:
            for state in json.loads(request.body)["client"]["state"].get("config_states") or []:
                if state["product"] == product and state["apply_state"] != 1:
                    return state
        return None
    return wait_until(f"no state of {product}", found)


def changed(s):
    """{name: entry} of every app-client-configuration-change so far, later ones over earlier ones."""
    return {entry["name"]: entry for e in s.agent.telemetry() if e["request_type"] == "app-client-configuration-change"
            for entry in e["payload"]["configuration"]}


@case(SOON)
def remote_configuration_comes_by_itself_and_is_told_to_telemetry(s):
    started(s)
    s.agent.set_remote("APM_TRACING", "c", remote(tracing_sampling_rate=0.5))
    same(wait_for_answer(s, "APM_TRACING")["apply_state"], 2)
    entry = wait_until("the change is not told", lambda: changed(s).get("trace_sample_rate"))
    same((float(entry["value"]), entry["origin"]), (0.5, "remote_config"))
    with s.span("op"):
        pass
    s.flush()
    same(s.only()["metrics"]["_dd.rule_psr"], 0.5)


@case({**SOON, "DD_TRACE_SAMPLING_RULES": '[{"sample_rate":0.55,"name":"ruled"}]'})
def remote_rate_stands_behind_local_rules_and_remote_rules_before(s):
    def rates(label, **lib_config):
        s.agent.set_remote("APM_TRACING", "c", remote(**lib_config))
        s.call("/trace/remote-config/apply", {})
        for name in ("ruled", "other"):
            with s.span(name, resource=label):
                pass
        s.flush()
        return [x["metrics"].get("_dd.rule_psr") for x in s.spans() if x["resource"] == label]
    same(rates("rate", tracing_sampling_rate=0.56), [0.55, 0.56])
    rule = {"sample_rate": 0.8, "service": "web", "name": "ruled", "resource": "*", "provenance": "customer"}
    same(rates("rules", tracing_sampling_rate=0.56, tracing_sampling_rules=[rule]), [0.8, 0.56])
    same(rates("none"), [0.55, None])


@case(SOON)
def remote_configuration_that_cannot_be_read_is_answered_as_an_error(s):
    s.agent.set_remote("APM_TRACING", "bad", {"lib_config": "?"})
    state = wait_for_answer(s, "APM_TRACING")
    same(state["apply_state"], 3)
    assert state["apply_error"]


# -- flares ---------------------------------------------------------------------------------------------------


TASK = {"args": {"case_id": "12345", "hostname": "host", "user_handle": "me@example.com"}, "task_type": "tracer_flare", "uuid": "u-1"}


def parts(request):
    message = email.message_from_bytes(b"Content-Type: " + request.headers["Content-Type"].encode() + b"\r\n\r\n" + request.body,
                                       policy=email.policy.HTTP)
    return {p.get_param("name", header="content-disposition"): p for p in message.iter_parts()}


@case(SOON)
def flare_is_sent_when_it_is_asked_for(s):
    s.agent.set_remote("AGENT_CONFIG", "flare-log-level.debug", {"name": "flare-log-level.debug", "config": {"log_level": "debug"}})
    same(wait_for_answer(s, "AGENT_CONFIG")["apply_state"], 2)
    with s.span("op"):
        pass
    s.agent.set_remote("AGENT_TASK", "task", TASK)
    same(wait_for_answer(s, "AGENT_TASK")["apply_state"], 2)
    (flare,) = wait_until("no flare", lambda: s.agent.requests("/tracer_flare/v1"))
    fields = parts(flare)
    same([fields[f].get_payload().strip() for f in ("case_id", "hostname", "email")], ["12345", "host", "me@example.com"])
    assert fields["source"].get_payload().startswith("tracer_")
    files = zipfile.ZipFile(io.BytesIO(fields["flare_file"].get_payload(decode=True)))
    same(files.testzip(), None)
    assert "configuration.json" in files.namelist()


@case(SOON)
def flare_is_not_sent_for_other_tasks(s):
    s.agent.set_remote("AGENT_TASK", "task", {**TASK, "task_type": "flare"})
    wait_for_answer(s, "AGENT_TASK")
    time.sleep(0.5)
    same(s.agent.requests("/tracer_flare/v1"), [])


# -- telemetry ------------------------------------------------------------------------------------------------


def started(s):
    """{name: its last entry} of the event app-started."""
    wait_until("no app-started", lambda: any(e["request_type"] == "app-started" for e in s.agent.telemetry()))
    event = next(e for e in s.agent.telemetry() if e["request_type"] == "app-started")
    return {entry["name"]: entry for entry in event["payload"]["configuration"]}


@case({"DD_SERVICE": "web", "DD_TRACE_SAMPLE_RATE": "0.3", "DD_TRACE_ENABLED": "false"})
def telemetry_tells_the_configuration_though_tracing_is_off(s):
    entries = started(s)
    same((entries["DD_SERVICE"]["value"], entries["DD_SERVICE"]["origin"]), ("web", "env_var"))
    same((entries["trace_sample_rate"]["value"], entries["trace_enabled"]["value"]), ("0.3", False))


@case({"DD_INSTRUMENTATION_TELEMETRY_ENABLED": "false"})
def telemetry_may_be_off(s):
    with s.span("op"):
        pass
    s.flush()
    same(s.agent.telemetry(), [])


DEFAULTS = {"trace_header_tags": "", "trace_tags": "", "trace_enabled": True, "appsec_enabled": False, "data_streams_enabled": False,
            "runtime_metrics_enabled": False, "dynamic_instrumentation_enabled": False, "tags": "",
            "trace_propagation_style": "datadog,tracecontext,baggage"}


@case()
def telemetry_has_the_names_that_are_looked_for(s):
    entries = started(s)
    same({name: (entries[name]["value"], entries[name]["origin"]) for name in DEFAULTS},
         {name: (value, "default") for name, value in DEFAULTS.items()})
    same((entries["instrumentation_source"]["value"], entries["instrumentation_source"]["origin"]), ("manual", "calculated"))
    for name in ("trace_sample_rate", "logs_injection_enabled", "profiling_enabled", "trace_debug_enabled", "ssi_injection_enabled",
                 "ssi_forced_injection_enabled"):
        assert name in entries, f"{name} is not told"


@case({"DD_INSTRUMENTATION_INSTALL_ID": "i", "DD_INSTRUMENTATION_INSTALL_TYPE": "k8s_single_step", "DD_INSTRUMENTATION_INSTALL_TIME": "1"})
def telemetry_tells_how_it_was_installed(s):
    started(s)
    (event,) = [e for e in s.agent.telemetry() if e["request_type"] == "app-started"]
    same(event["payload"]["install_signature"], {"install_id": "i", "install_type": "k8s_single_step", "install_time": "1"})


def told(s, metric):
    """Tags of the counter's series, once there is one."""
    def found():
        return [x["tags"] for e in s.agent.telemetry() if e["request_type"] == "generate-metrics"
                for x in e["payload"]["series"] if x["metric"] == metric]
    return wait_until(f"no {metric}", found)


@case({"DD_TELEMETRY_HEARTBEAT_INTERVAL": "1", "DD_SERVICE": "d", "OTEL_SERVICE_NAME": "o"})
def telemetry_counts_hidden_variables(s):
    same([sorted(tags) for tags in told(s, "otel.env.hiding")], [["config_datadog:dd_service", "config_opentelemetry:otel_service_name"]])


@case({"DD_TELEMETRY_HEARTBEAT_INTERVAL": "1", "OTEL_RESOURCE_ATTRIBUTES": "k=%2"})
def telemetry_counts_variables_that_cannot_be_followed(s):
    same([sorted(tags) for tags in told(s, "otel.env.invalid")],
         [["config_datadog:dd_tags", "config_opentelemetry:otel_resource_attributes"]])


# -- discovery ------------------------------------------------------------------------------------------------


def target(path):
    try:
        return os.readlink(path)
    except FileNotFoundError:  # closed since it was listed
        return ""


def discovered(s):
    folder = f"/proc/{s.process.pid}/fd"
    (path,) = [f"{folder}/{f}" for f in os.listdir(folder) if target(f"{folder}/{f}").startswith("/memfd:datadog-tracer-info-")]
    with open(path, "rb") as file:
        return unpack(file.read())


def add_discovered(label, env, process_tags):
    @case({"DD_SERVICE": "web", "DD_ENV": "prod", "DD_VERSION": "1", "SONDE_TEST_LANGUAGE": "cpp", "SONDE_TEST_TRACER_VERSION": "9.9", **env})
    def told_about_the_process(s):
        about = discovered(s)
        same([about[k] for k in ("schema_version", "tracer_language", "tracer_version", "service_name", "service_env", "service_version")],
             [2, "cpp", "9.9", "web", "prod", "1"])
        assert about["runtime_id"] and about["hostname"]
        same("entrypoint.name:sonde-parametric" in about.get("process_tags", ""), process_tags)
    CASES[-1] = (f"discovery {label}", *CASES[-1][1:])


add_discovered("with process tags", {"DD_EXPERIMENTAL_PROPAGATE_PROCESS_TAGS_ENABLED": "true"}, True)
add_discovered("without", {"DD_EXPERIMENTAL_PROPAGATE_PROCESS_TAGS_ENABLED": "false"}, False)


class ParametricAgent(unittest.TestCase):
    def test_every_case(self):
        run_cases(self, at_least=15)


if __name__ == "__main__":
    unittest.main(argv=sys.argv[:1])
