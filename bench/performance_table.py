#!/usr/bin/env python3
"""The README's performance table as Markdown, from what `qwen-thinking bench --json` and bench/peers/compare.py measured.

    bench/performance_table.py BENCH.json [BENCH.json …] [--peers RESULTS.jsonl]

Each file holds one run's object, one format; all of the same machine. The sentence above the table says which machine and when.
"""

import argparse
import json
import pathlib
import sys

sys.dont_write_bytecode = True
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent / "peers"))
import ratios  # noqa: E402

TESTS = [("prefill", "tokens"), ("decode", "depth"), ("batch", "size")]


def performance_table(reports):
    """Raises ValueError where the reports are not of one machine."""
    machines = {(report["cpu"], report["threads"]) for report in reports}
    if len(machines) != 1:
        raise ValueError(f"the files are of {len(machines)} machines: {sorted(machines)}")
    (cpu, threads), = machines
    dates = sorted({report["date"][:10] for report in reports})
    runs = sorted({len(entry["runs"]) for report in reports for test, _ in TESTS for entry in report[test]})
    plural = "thread" if threads == 1 else "threads"
    lines = [f"{cpu}, {threads} {plural}, {reports[0]['parameters'] / 1e9:.2f} billion parameters, {' and '.join(dates)}, medians of "
             f"{' to '.join(map(str, runs))} runs. In tokens per second, and the share reached of the ceiling probed around each run:", "",
             "| test | " + " | ".join(report["format"] for report in reports) + " |", "|---|" + "---|" * len(reports)]
    for test, size in TESTS:
        for value in sorted({entry[size] for report in reports for entry in report[test]}):
            cells = [next((shown(entry) for entry in report[test] if entry[size] == value), "–") for report in reports]
            lines.append(f"| {ratios.LABELS[test].format(f'{value:,}')} | " + " | ".join(cells) + " |")
    for label, key, scale in [("load, s", "load_seconds", 1), ("peak memory, GB", "peak_resident_bytes", 1e9),
                              ("weights read by a step, GB", "weight_bytes", 1e9)]:
        lines.append(f"| {label} | " + " | ".join(f"{report[key] / scale:.2f}" for report in reports) + " |")
    if any(line.endswith(" * |") or " * | " in line for line in lines):
        lines += ["", f"\\* Other processes took more than {100 * ratios.BUSY:.0f} % of the machine meanwhile."]
    return "\n".join(lines)


def shown(entry):
    digits = 1 if entry["tokens_per_second"] >= 10 else 2
    mark = " *" if entry["other_load"] > ratios.BUSY else ""
    return f"{entry['tokens_per_second']:.{digits}f} ({100 * entry['share']:.0f} % of {entry['ceiling']:.{digits}f}){mark}"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=pathlib.Path)
    parser.add_argument("--peers", type=pathlib.Path, help="results of bench/peers/compare.py")
    options = parser.parse_args()
    try:
        print(performance_table([json.loads(file.read_text(encoding="utf-8")) for file in options.files]))
    except ValueError as error:
        sys.exit(f"performance_table.py: {error}")
    if options.peers:
        samples = [json.loads(line) for line in options.peers.read_text(encoding="utf-8").splitlines()]
        print("\n" + ratios.tables(samples))


if __name__ == "__main__":
    main()
