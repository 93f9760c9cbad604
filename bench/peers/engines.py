"""How each engine is called for a set of tests and how its output is read. An engine yields runs: commands that each measure some of the tests;
reading a run's output gives figures. Nothing is started here.
"""

import dataclasses
import json
import pathlib
import re
import typing

from ratios import OURS, PEER_FORMATS

PROMPT_OF_BATCH = 64  # tokens of each sequence before a batch test, as in `qwen-thinking bench`


@dataclasses.dataclass(frozen=True)
class Tests:
    prefill: tuple = ()
    decode: tuple = ()  # depths
    batch: tuple = ()
    steps: int = 16
    threads: int = 1


class Figure(typing.NamedTuple):
    test: str
    size: int
    value: float  # tokens per second; bytes for "memory"
    beside: dict = {}  # read_gbs, dot_gops and other_load where the engine knows them better than whoever runs it


@dataclasses.dataclass(frozen=True)
class Run:
    command: tuple
    read: object  # (stdout, stderr) → [Figure]
    environment: tuple = ()
    memory: bool = False  # its peak is the engine's


def sizes(values):
    return ",".join(map(str, values)) or "none"


class Ours:
    name = OURS

    def __init__(self, binary, model):
        self.binary, self.model = binary, model

    def probe(self, form, threads):
        return [self.binary, "bench", "--probe", "--json", "--format", form, "--threads", str(threads)]

    def runs(self, form, tests):
        command = (self.binary, "bench", "--model", str(self.model), "--format", form, "--threads", str(tests.threads), "--runs", "1", "--attempts", "1", "--steps",
                   str(tests.steps), "--prefill", sizes(tests.prefill), "--decode", sizes(tests.decode), "--batch", sizes(tests.batch), "--json")
        return [Run(command, read_ours)]


def read_ours(stdout, _stderr):
    report = json.loads(stdout)
    found = [Figure(test, entry[size], entry["tokens_per_second"], {key: entry[key] for key in ("read_gbs", "dot_gops", "other_load")})
             for test, size in [("prefill", "tokens"), ("decode", "depth"), ("batch", "size")] for entry in report[test]]
    return found + [Figure("memory", 0, report["peak_resident_bytes"])]


@dataclasses.dataclass(frozen=True)
class Dialect:
    """What differs between llama.cpp and its forks: the fastest known settings of both programs, and how a depth is asked for."""
    bench: tuple
    batched: tuple
    depth: object  # (depth, steps) → arguments of llama-bench


DIALECTS = {
    # Memory of its own instead of the mapped file: together with huge pages for malloc 3 to 8 % faster.
    "llama.cpp": Dialect(("-fa", "on", "-lm", "none"), ("-fa", "on", "-lm", "none", "--output-format", "jsonl"),
                         lambda depth, steps: ("-p", "0", "-n", str(steps), "-d", str(depth))),
    # -rtr: weights interleaved for the instruction set while they are read.
    "ik_llama.cpp": Dialect(("-fa", "1", "-rtr", "1"), ("-fa", "on", "-rtr"),
                            lambda depth, steps: ("-p", "0", "-n", "0", "-gp", f"{depth},{steps}") if depth else ("-p", "0", "-n", str(steps))),
}
HUGE_PAGES = (("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1"),)


class LlamaCpp:
    """`programs`: the start of a command line that a program's name completes; `models`: the folder of GGUF files as the programs see it."""

    def __init__(self, name, programs, models, dialect="llama.cpp"):
        self.name, self.programs, self.models, self.dialect = name, tuple(programs), models, DIALECTS[dialect]

    def program(self, name):
        *start, last = self.programs
        return (*start, last + name)

    def runs(self, form, tests):
        model = ("-m", f"{self.models}/{PEER_FORMATS[form]}.gguf", "-t", str(tests.threads))
        bench = (*self.program("llama-bench"), *model, *self.dialect.bench, "-r", "1", "-o", "json")
        runs = []
        if tests.prefill:
            runs.append(Run((*bench, "-p", ",".join(map(str, tests.prefill)), "-n", "0"), read_bench, HUGE_PAGES, memory=True))
        for depth in tests.decode:
            runs.append(Run((*bench, *self.dialect.depth(depth, tests.steps)), read_bench, HUGE_PAGES))
        if tests.batch:
            context = max(tests.batch) * -(-(PROMPT_OF_BATCH + tests.steps) // 256) * 256  # a sequence's share is a multiple of 256
            runs.append(Run((*self.program("llama-batched-bench"), *model, "-tb", str(tests.threads), *self.dialect.batched, "-c", str(context),
                             "-npp", str(PROMPT_OF_BATCH), "-ntg", str(tests.steps), "-npl", ",".join(map(str, tests.batch))),
                            read_batched, HUGE_PAGES))
        return runs


def read_bench(stdout, _stderr):
    found = []
    for entry in json.loads(stdout[stdout.index("["):]):
        value = max(entry["samples_ts"])
        if entry["n_gen"] == 0:
            found.append(Figure("prefill", entry["n_prompt"], value))
        else:
            found.append(Figure("decode", entry.get("n_depth", 0) or entry["n_prompt"], value))
    return found


TABLE_ROW = re.compile(r"^\|\s*\d+ \|\s*\d+ \|\s*(\d+) \|\s*\d+ \|(?:[^|]*\|){3}\s*([\d.]+) \|", re.MULTILINE)


def read_batched(stdout, stderr):
    """One JSON object a line, or the table of older builds and forks: PP, TG, B, N_KV, T_PP, S_PP, T_TG, S_TG, …"""
    objects = [json.loads(line) for line in stdout.splitlines() if line.startswith("{")]
    if objects:
        return [Figure("batch", entry["pl"], entry["speed_tg"]) for entry in objects]
    return [Figure("batch", int(size), float(speed)) for size, speed in TABLE_ROW.findall(stdout + "\n" + stderr)]


def parse_peer(text):
    """NAME=FOLDER or NAME=DIALECT:FOLDER → name, the programs' prefix, dialect. Raises ValueError."""
    name, _, place = text.partition("=")
    dialect, colon, folder = place.partition(":")
    if not colon:
        dialect, folder = "llama.cpp", place
    if not name or dialect not in DIALECTS:
        raise ValueError(f"'{text}': expected NAME=FOLDER or NAME=DIALECT:FOLDER with a dialect of {', '.join(DIALECTS)}")
    folder = pathlib.Path(folder)
    for program in ["llama-bench", "llama-batched-bench"]:
        if not (folder / program).exists():
            raise ValueError(f"{folder} has no {program}")
    return name, [f"{folder}/"], dialect
