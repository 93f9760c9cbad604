#!/usr/bin/env python3
"""Times qwen-thinking and other engines on the same weights, interleaved in one run, and prints the ratios.

    bench/peers/compare.py --binary build/qwen-thinking --make-gguf build-dev/bench/make_gguf --model DIR --work DIR

llama.cpp as Debian unstable packages it is made ready under --work (debian_llama.sh), as are the weights as GGUF, once per format. Other
builds join by path: --peer upstream=/opt/llama.cpp/bin --peer ik=ik_llama.cpp:/opt/ik/bin. Debian's build lacks the LLAMAFILE GEMM, so that an
upstream one is faster at Q8_0 and BF16 prompts. int8 is held against Q8_0, int4 against Q4_0, none against BF16.

Every run stands between two probes of read bandwidth and dot products; what other processes took of the machine meanwhile is measured, and
a disturbed run does not count where there is a quiet one. Samples are appended to --results, so that rounds may be taken over a day. Exit
status 77 and a line with SKIP where no peer is at hand. Needs Python's standard library alone.
"""

import argparse
import contextlib
import dataclasses
import datetime
import fcntl
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import time

import engines
import ratios

HERE = pathlib.Path(__file__).resolve().parent
SKIPPED = 77


def arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--binary", required=True, help="qwen-thinking")
    parser.add_argument("--model", required=True, type=pathlib.Path, help="folder of plain weights")
    parser.add_argument("--work", required=True, type=pathlib.Path, help="folder for GGUF files and Debian's root; about 14 GB for a 4B in all formats")
    parser.add_argument("--make-gguf", help="the converter of this folder; needed where --work has no GGUF yet")
    parser.add_argument("--formats", default="int8,int4", help="of ours: none, int8, int4 (%(default)s)")
    parser.add_argument("--prefill", default="512", help="tokens, or none (%(default)s)")
    parser.add_argument("--decode", default="0", help="depths, or none; peers compute the depth first (%(default)s)")
    parser.add_argument("--batch", default="8", help="sequences, or none (%(default)s)")
    parser.add_argument("--steps", type=int, default=16, help="of a decode run (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="%(default)s; 0: only the table of what --results holds")
    parser.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)), help="%(default)s")
    parser.add_argument("--peer", action="append", default=[], help="NAME=FOLDER or NAME=ik_llama.cpp:FOLDER of llama-bench, llama-batched-bench")
    parser.add_argument("--no-debian", action="store_true", help="leave Debian's llama.cpp out")
    parser.add_argument("--no-ours", action="store_true", help="only the peers")
    parser.add_argument("--results", type=pathlib.Path, help="JSON lines, appended (WORK/results.jsonl)")
    parser.add_argument("--lock", type=pathlib.Path, help="a file locked around every timed run, where others on the machine heed it")
    parser.add_argument("--wait-quiet", type=float, default=60, help="seconds to wait before each run for others to finish (%(default)s)")
    options = parser.parse_args()
    options.formats = options.formats.split(",")
    for form in options.formats:
        if form not in ratios.PEER_FORMATS:
            parser.error(f"--formats: {form} is none of {', '.join(ratios.PEER_FORMATS)}")
    try:
        options.peer = [engines.parse_peer(text) for text in options.peer]
        options.tests = engines.Tests(*(tuple(() if text == "none" else map(int, text.split(",")))
                                        for text in (options.prefill, options.decode, options.batch)), options.steps, options.threads)
    except ValueError as error:
        parser.error(str(error))
    options.results = options.results or options.work / "results.jsonl"
    return options


def debian(work, models):
    """Debian's llama.cpp, or None after a line that says why not."""
    script, root = HERE / "debian_llama.sh", work / "chroot"
    result = subprocess.run([script, root, "install"], capture_output=True, text=True, check=False)
    if result.returncode != 0:
        reason = (result.stderr.strip() or f"{script.name} ended with exit status {result.returncode}").splitlines()[-1]
        print(f"compare.py: without Debian's llama.cpp: {reason.removeprefix('SKIP: ')}", file=sys.stderr)
        return None
    print(result.stdout.strip(), file=sys.stderr)
    return engines.LlamaCpp("llama.cpp", [str(script), str(root), "run", str(models), ""], "/models")


def make_models(options, models):
    for form in options.formats:
        kind = ratios.PEER_FORMATS[form]
        if not (models / f"{kind}.gguf").exists():
            if not options.make_gguf:
                sys.exit(f"compare.py: {models} has no {kind}.gguf: name the converter with --make-gguf")
            subprocess.run([options.make_gguf, "--model", options.model, "--type", kind, "--output", models / f"{kind}.gguf"], check=True)


@contextlib.contextmanager
def locked(path):
    if path is None:
        yield
        return
    with open(path, "a", encoding="utf-8") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def busy_seconds():
    """Of all processors since the start; what a hypervisor gave to others counts as busy."""
    with open("/proc/stat", encoding="ascii") as file:
        user, nice, system, _idle, _wait, irq, softirq, steal = map(int, file.readline().split()[1:9])
    return (user + nice + system + irq + softirq + steal) / os.sysconf("SC_CLK_TCK")


def wait_until_quiet(patience):
    """Until the processors have been idle for two seconds, at most for `patience` seconds."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        busy = busy_seconds()
        time.sleep(2)
        if busy_seconds() - busy < 2 * ratios.BUSY * os.cpu_count():
            return


@dataclasses.dataclass
class Outcome:
    status: int
    stdout: str
    stderr: str
    peak_resident_bytes: int
    other_load: float  # share of the machine's time that others took meanwhile


def execute(run):
    with tempfile.TemporaryFile("w+") as stdout, tempfile.TemporaryFile("w+") as stderr:
        busy, start = busy_seconds(), time.monotonic()
        child = subprocess.Popen(run.command, stdout=stdout, stderr=stderr, env={**os.environ, **dict(run.environment)})
        _, status, usage = os.wait4(child.pid, 0)
        child.returncode = os.waitstatus_to_exitcode(status)
        elapsed = time.monotonic() - start
        others = busy_seconds() - busy - usage.ru_utime - usage.ru_stime
        stdout.seek(0)
        stderr.seek(0)
        return Outcome(child.returncode, stdout.read(), stderr.read(), usage.ru_maxrss * 1024, max(0.0, others / (elapsed * os.cpu_count())))


def probe(ours, form, threads):
    result = subprocess.run(ours.probe(form, threads), stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(result.stdout)


def measure(engine, form, options, ours, number):
    """The samples of one engine in one round."""
    for run in engine.runs(form, options.tests):
        wait_until_quiet(options.wait_quiet)
        with locked(options.lock):
            before = probe(ours, form, options.threads)
            outcome = execute(run)
            after = probe(ours, form, options.threads)
        if outcome.status != 0:
            print(f"{engine.name}, {form}: exit {outcome.status}: {(outcome.stderr or outcome.stdout).strip()[-400:]}", file=sys.stderr)
            continue
        found = run.read(outcome.stdout, outcome.stderr)
        if run.memory:
            found.append(engines.Figure("memory", 0, outcome.peak_resident_bytes))
        for figure in found:
            yield {"engine": engine.name, "format": form, "test": figure.test, "size": figure.size, "value": figure.value, "round": number,
                   "read_gbs": (before["read_gbs"] + after["read_gbs"]) / 2, "dot_gops": (before["dot_gops"] + after["dot_gops"]) / 2,
                   "other_load": 0 if figure.test == "memory" else outcome.other_load, **figure.beside, "threads": options.threads,
                   "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")}


def read_results(path):
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def main():
    options = arguments()
    models = (options.work / "gguf").resolve()
    models.mkdir(parents=True, exist_ok=True)
    if options.rounds > 0:
        ours = engines.Ours(options.binary, options.model)
        found = [] if options.no_debian else [debian(options.work.resolve(), models)]
        peers = [peer for peer in found if peer] + [engines.LlamaCpp(name, programs, models, dialect) for name, programs, dialect in options.peer]
        if not peers:
            print("SKIP: no peer is at hand", file=sys.stderr)
            return SKIPPED
        make_models(options, models)
        first = 1 + max((sample["round"] for sample in read_results(options.results)), default=0)
        for number in range(first, first + options.rounds):
            for form in options.formats:
                for engine in ([] if options.no_ours else [ours]) + peers:
                    for sample in measure(engine, form, options, ours, number):
                        print(f"round {number}: {sample['engine']}, {form}: {sample['test']} {sample['size']}: {sample['value']:.2f} "
                              f"(others took {sample['other_load']:.0%})", file=sys.stderr)
                        with open(options.results, "a", encoding="utf-8") as file:
                            file.write(json.dumps(sample) + "\n")
    print(ratios.tables(read_results(options.results)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
