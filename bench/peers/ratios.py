"""Samples of the same tests on several engines → medians, ratios of runs that lie beside each other in time, a table.

A sample is a dict: engine, format, test ("prefill", "decode", "batch" or "memory"), size, value (tokens per second; bytes for memory), round,
read_gbs and dot_gops (probed around it; 0 where they were not) and other_load (share of the machine's time that other processes took
meanwhile). Pure: no process, no clock.
"""

import collections
import statistics

OURS = "qwen-thinking"
BUSY = 0.05  # a sample with more of other_load does not count where there is a quiet one
PEER_FORMATS = {"none": "bf16", "int8": "q8_0", "int4": "q4_0"}  # what a peer calls nearly the same bits per weight
TESTS = ["prefill", "decode", "batch", "memory"]
LABELS = {"prefill": "prefill, {} tokens", "decode": "decode, depth {}", "batch": "decode, batch of {}", "memory": "peak memory, GB"}


def quiet(samples):
    """Those that nothing else disturbed, or all where everything was disturbed."""
    calm = [sample for sample in samples if sample["other_load"] <= BUSY]
    return calm or samples


def median(samples):
    return statistics.median(sample["value"] for sample in quiet(samples))


def best(samples):
    return max(sample["value"] for sample in quiet(samples))


def paired_ratio(ours, theirs):
    """Median over the rounds in which both were measured quietly of ours ÷ theirs; of the medians where no round has both."""
    by_round = {sample["round"]: sample["value"] for sample in quiet(theirs)}
    ratios = [sample["value"] / by_round[sample["round"]] for sample in quiet(ours) if by_round.get(sample["round"])]
    return statistics.median(ratios) if ratios else median(ours) / median(theirs)


def tables(samples):
    """One Markdown table per format of ours, each with every peer's column and the ratio to it."""
    groups = collections.defaultdict(list)
    for sample in samples:
        groups[sample["format"], sample["test"], sample["size"], sample["engine"]].append(sample)
    peers = sorted({engine for *_, engine in groups} - {OURS})
    parts = []
    for form in [name for name in PEER_FORMATS if any(key[0] == name for key in groups)]:
        lines = [f"| {form} against {PEER_FORMATS[form]} | {OURS} | " + " | ".join(f"{peer} | ratio" for peer in peers) + " | read, dot products |",
                 "|---|" + "---|" * (2 * len(peers) + 2)]
        for test in TESTS:
            for size in sorted({key[2] for key in groups if key[:2] == (form, test)}):
                lines.append(row(form, test, size, peers, groups))
        parts.append("\n".join(lines))
    return "\n\n".join(parts)


def row(form, test, size, peers, groups):
    ours = groups.get((form, test, size, OURS), [])
    cells = [LABELS[test].format(size), shown(test, ours)]
    everything = list(ours)
    for peer in peers:
        theirs = groups.get((form, test, size, peer), [])
        everything += theirs
        cells += [shown(test, theirs), f"{paired_ratio(ours, theirs):.2f}" if ours and theirs else "–"]
    probed = [sample for sample in everything if sample["read_gbs"]]
    cells.append(" ".join(f"{statistics.median(sample[key] for sample in probed):.0f} {unit}"
                          for key, unit in [("read_gbs", "GB/s,"), ("dot_gops", "Gop/s")]) if probed else "–")
    return "| " + " | ".join(cells) + " |"


def shown(test, samples):
    """Median and best; an asterisk where no sample was quiet."""
    if not samples:
        return "–"
    mark = "" if min(sample["other_load"] for sample in samples) <= BUSY else " *"
    if test == "memory":
        return f"{median(samples) / 1e9:.2f}{mark}"
    return f"{median(samples):.1f} (best {best(samples):.1f}){mark}"
