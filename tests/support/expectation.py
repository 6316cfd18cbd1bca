"""Says whether a profile holds what an expectation in the form of Datadog's prof-correctness scenarios says:

    {"test_name": "ab", "scale_by_duration": true, "stacks": [
      {"profile-type": "cpu-time", "value-matching-sum": 1000000000, "error-margin": 5, "stack-content": [
        {"regular_expression": "main;a$", "percent": 33, "value": 330000000, "error_margin": 10,
         "labels": [{"key": "span id", "values": ["17"]}, {"key": "trace endpoint", "values_regex": "^GET "}]}]}]}

A stack is the names of its functions, root first, with ';' between.  Values are for each second of a profile that lasts, else
as they are, and may be wrong by so many percent of themselves; percents by so many points.  A sample counts when every label is
there: with exactly these values, or with none that the expression does not find.

    expectation.py EXPECTED.json PROFILE...      # pprof: gzip, zstd or bare; each is looked at by itself
"""

import json
import re
import sys
from pathlib import Path

import pprof


def folded(profile, sample):
    names = []
    for location in reversed(sample["location_id"]):
        lines = profile.locations[location]["line"]
        names += [profile.functions[line["function_id"]]["name"] for line in reversed(lines)]
    return ";".join(names)


class Samples:
    """Of one type: (stack, value, labels); of several profiles, their durations added up."""

    def __init__(self, profiles, kind):
        self.rows, self.seconds = [], 0
        for profile in profiles:
            types = [name for name, _ in profile.sample_types]
            if kind not in types:
                raise ValueError(f"there is no {kind} among {types}")
            self.seconds += profile.duration_nanos / 1e9
            self.rows += [(folded(profile, s), s["value"][types.index(kind)], s["label"]) for s in profile.samples]
        self.total = sum(value for _, value, _ in self.rows)

    def matching(self, expression, labels):
        found = re.compile(expression)
        return sum(value for stack, value, have in self.rows
                   if found.search(stack) and all(has_label(have, label) for label in labels))

    def scaled(self, value):
        return value * self.seconds if self.seconds > 0 else value


def has_label(have, label):
    if ("values" in label) == ("values_regex" in label):
        raise ValueError(f"{label}: one of values and values_regex")
    if label["key"] not in have:
        return False
    value = str(have[label["key"]])
    if "values" in label:
        return label["values"] == [value]
    return re.search(label["values_regex"], value) is not None


def relative(value, want):
    return abs(value - want) / max(want, sys.float_info.min) * 100


def check_content(samples, content, margin):
    """(what matched, [what is wrong])."""
    expression, wrong = content["regular_expression"], []
    labels = content.get("labels", [])
    margin = content.get("error_margin", margin)
    matching = samples.matching(expression, labels)
    what = f"{expression!r} {labels if labels else ''}"
    if "value" in content and relative(matching, samples.scaled(content["value"])) > margin:
        wrong.append(f"{what}: {matching}, not {samples.scaled(content['value']):.0f} +- {margin} %")
    if "percent" in content:
        percent = matching * 100 / samples.total if samples.total else 0
        if abs(percent - content["percent"]) > margin:
            wrong.append(f"{what}: {percent:.1f} %, not {content['percent']} +- {margin}")
    return matching, wrong


def check_stacks(profiles, stacks):
    samples = Samples(profiles, stacks["profile-type"])
    margin, wrong, matched = stacks.get("error-margin", 0), [], 0
    has_sum = "value-matching-sum" in stacks
    for content in stacks["stack-content"]:
        if not has_sum and "value" not in content and "percent" not in content:
            raise ValueError(f"{content}: nothing is expected")
        matching, more = check_content(samples, content, margin)
        matched += matching
        wrong += more
    if has_sum and relative(matched, samples.scaled(stacks["value-matching-sum"])) > margin:
        wrong.append(f"{stacks['profile-type']}: {matched} in all, not {samples.scaled(stacks['value-matching-sum']):.0f} "
                     f"+- {margin} %")
    return wrong


def check(profiles, expected):
    """[what is wrong], empty when nothing is."""
    if not expected["stacks"] and not expected.get("note"):
        raise ValueError("stacks: empty, and no note says why")
    return [f"{expected.get('test_name', '')}: {text}" for stacks in expected["stacks"]
            for text in check_stacks(profiles, stacks)]


def check_files(expected, paths):
    """Of a file "pprof-regex" does not find, nothing is expected; the first may fail where that is allowed."""
    wrong = []
    for i, path in enumerate(paths):
        chosen = [s for s in expected["stacks"] if re.search(s.get("pprof-regex") or expected.get("pprof-regex", ""), path.name)]
        if not chosen:
            continue
        found = check([pprof.read(path.read_bytes())], {**expected, "stacks": chosen})
        if i > 0 or not expected.get("allow_first_profile_failure"):
            wrong += [f"{path.name}: {text}" for text in found]
    return wrong


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    complaints = check_files(json.loads(Path(sys.argv[1]).read_text()), [Path(p) for p in sys.argv[2:]])
    print("\n".join(complaints) or "all of it is there")
    sys.exit(1 if complaints else 0)
