"""A strict reader of Prometheus' text format 0.0.4: what is not in the format, told twice or inconsistent is an error."""

import re

NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
HELP = re.compile(rf"# HELP ({NAME}) (\S.*)")
TYPE = re.compile(rf"# TYPE ({NAME}) (counter|gauge|histogram)")
SAMPLE = re.compile(rf"({NAME})(?:\{{(.*)\}})? (\S+)")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(?:,|$)')
NUMBER = re.compile(r"-?(\d+(\.\d*)?([eE][-+]?\d+)?|Inf)|NaN|\+Inf")


def read_labels(text):
    labels, at = {}, 0
    while at < len(text):
        match = LABEL.match(text, at)
        if not match or match.group(1) in labels:
            raise AssertionError(f"bad labels: {text}")
        labels[match.group(1)] = re.sub(r"\\(.)", lambda m: {"n": "\n"}.get(m.group(1), m.group(1)), match.group(2))
        at = match.end()
    return frozenset(labels.items())


def family_of(name, types):
    if name in types:
        return name
    for suffix in ("_bucket", "_sum", "_count"):
        base = name.removesuffix(suffix)
        if name != base and types.get(base) == "histogram":
            return base
    raise AssertionError(f"{name} has no TYPE before it")


def check_histogram(name, samples):
    """Every series of a histogram: cumulative buckets up to +Inf, which is the count; a sum."""
    series = {}
    for (sample, labels), value in samples.items():
        if sample == f"{name}_bucket":
            pairs = dict(labels)
            bound = float(pairs.pop("le"))
            series.setdefault(frozenset(pairs.items()), []).append((bound, value))
    if not series:
        raise AssertionError(f"{name} has no buckets")
    for labels, buckets in series.items():
        buckets.sort()
        counts = [count for _, count in buckets]
        if buckets[-1][0] != float("inf") or counts != sorted(counts):
            raise AssertionError(f"{name}{set(labels)}: {buckets}")
        if samples[(f"{name}_count", labels)] != counts[-1] or (f"{name}_sum", labels) not in samples:
            raise AssertionError(f"{name}{set(labels)}: count or sum does not fit its buckets")


class Metrics:
    """`text` parsed: types by name, values by (name, frozenset of labels)."""

    def __init__(self, text):
        self.types, self.samples, helps, done, current = {}, {}, set(), set(), None
        if not text.endswith("\n"):
            raise AssertionError("the last line has no end")
        for line in text[:-1].split("\n"):
            if match := HELP.fullmatch(line):
                if match.group(1) in helps:
                    raise AssertionError(f"told twice: {line}")
                helps.add(match.group(1))
            elif match := TYPE.fullmatch(line):
                if match.group(1) not in helps or match.group(1) in self.types:
                    raise AssertionError(f"told twice, or without HELP: {line}")
                self.types[match.group(1)] = match.group(2)
            elif match := SAMPLE.fullmatch(line):
                name, labels, value = match.group(1), read_labels(match.group(2) or ""), match.group(3)
                family = family_of(name, self.types)
                if family != current and family in done:
                    raise AssertionError(f"{family} is not in one piece")
                done.add(family)
                current = family
                if not NUMBER.fullmatch(value) or (name, labels) in self.samples:
                    raise AssertionError(f"no number, or told twice: {line}")
                self.samples[(name, labels)] = float(value)
            else:
                raise AssertionError(f"not in the format: {line!r}")
        for name, kind in self.types.items():
            if kind == "histogram":
                check_histogram(name, self.samples)

    def value(self, name, /, **labels):
        return self.samples[(name, frozenset(labels.items()))]

    def sum(self, name, /, **labels):
        """Over all series of that name with these labels among theirs."""
        return sum(value for (sample, pairs), value in self.samples.items() if sample == name and labels.items() <= dict(pairs).items())

    def label_values(self, label):
        return {value for _, pairs in self.samples for key, value in pairs if key == label}
