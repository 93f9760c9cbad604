"""The share of held-out problems that the demo model solves over HTTP, per kind.

Each problem of tests/data/demo_problems.jsonl is one chat completion with the service's default sampling and seed = its index; the final
answer must be equal. Fails below 95 % of all or 85 % of a kind. Usage: demo_accuracy.py [--limit N] [--parallel N] [--model DIR] [-- serve flags]

With --formats none,int8,int4 the problems are solved greedily in each format, and the others are compared with the first problem by
problem; fails where one loses more points than LOSSES allows. gptq among them is the folder that `quantize --format gptq` makes, NAME=DIR
any other folder; none+kv-int8 is a format with an int8 KV cache, others have a bfloat16 one. --results FILE keeps the outcomes, and a run of
the same program on the same model with the same flags goes on where the last ended.
"""

import argparse
import collections
import concurrent.futures
import hashlib
import json
import math
import pathlib
import sys
import tempfile
import time

import harness

OVERALL, PER_KIND = 0.95, 0.85
LOSSES = {"int8": 0.5, "int4": 5.0, "int4-g64": 5.0, "none+kv-int8": 0.5}  # points of a hundred
GPTQ_LOSSES = 0.3  # of gptq against int4, where both take part
MOST_TOKENS = 2048  # several times the longest right answer: a thought that goes in circles ends
PROBLEMS = harness.SOURCE / "tests" / "data" / "demo_problems.jsonl"


def normalized(text):
    return " ".join((text or "").split())


def solve(service, index, problem, **sampling):
    answer = service.post("/v1/chat/completions", {"messages": [{"role": "user", "content": problem["prompt"]}], "seed": index,
                                                      "max_tokens": MOST_TOKENS, **sampling})
    if answer.status != 200:
        return None, answer.text
    message = answer.json()["choices"][0]["message"]
    return message.get("content"), answer.json()["usage"]["completion_tokens"]


def is_right(content, problem):
    return content is not None and normalized(content) == normalized(problem["answer"])


def solve_all(model, items, parallel, flags, **sampling):
    """(index, problem) pairs → (index, problem, content, detail) in order, from one service."""
    with harness.Service(model, *flags) as service, concurrent.futures.ThreadPoolExecutor(parallel) as pool:
        answers = pool.map(lambda item: solve(service, *item, **sampling), items)
        for (index, problem), (content, detail) in zip(items, answers):
            yield index, problem, content, detail


def paired_loss(first, other):
    """How many points of a hundred `other` loses against `first`, lists of right or wrong for the same problems, and half the width of
    the 95 % interval of that."""
    count = len(first)
    lost = sum(a and not b for a, b in zip(first, other))
    won = sum(b and not a for a, b in zip(first, other))
    variance = (lost + won - (lost - won) ** 2 / count) / count
    return 100 * (lost - won) / count, 100 * 1.96 * math.sqrt(variance / count)


def format_flags(name):
    weights, _, cache = name.partition("+kv-")
    return ["--quantization", weights, "--kv-cache-dtype", cache or "bfloat16"]


def quantized(model, name, scratch):
    """The folder that `quantize` makes in a format that loading does not make."""
    folder = pathlib.Path(scratch) / name
    result = harness.run("quantize", "--model", model, "--format", name, "--output", folder, timeout=600)
    if result.returncode != 0:
        raise AssertionError(result.stderr)
    return folder


def digest_of(model, flags):
    """Of everything that an answer depends on: the program, the model's files, the problems and the flags."""
    digest = hashlib.sha256(json.dumps([MOST_TOKENS, flags]).encode())
    for path in [pathlib.Path(harness.BINARY), PROBLEMS, *sorted(path for path in pathlib.Path(model).iterdir() if path.is_file())]:
        with open(path, "rb") as file:
            digest.update(hashlib.file_digest(file, "sha256").digest() if hasattr(hashlib, "file_digest") else hashlib.sha256(file.read()).digest())
    return digest.hexdigest()[:16]


def read_outcomes(file, sources):
    """(format, index) → right. Raises ValueError where the file holds outcomes of something else."""
    lines = harness.read_jsonl(file) if file and file.exists() else []
    if any(line.get("of") != sources.get(line["format"], line.get("of")) for line in lines):
        raise ValueError(f"{file} holds outcomes of another program, model, problems or flags; name another file with --results")
    return {(line["format"], line["index"]): line["right"] for line in lines}


def compare_formats(options, model, problems):
    with tempfile.TemporaryDirectory() as scratch:
        folders = dict(name.partition("=")[::2] for name in options.formats.split(","))
        if folders.get("gptq") == "":
            folders["gptq"] = quantized(model, "gptq", scratch)
        return compare_folders(options, model, problems, folders)


def compare_folders(options, model, problems, folders):
    """`folders`: name → folder, or nothing where the name is a format that loading makes."""
    formats = list(folders)
    file = pathlib.Path(options.results) if options.results else None
    sources = {name: digest_of(folders[name] or model, options.flags) for name in formats}
    try:
        outcomes = read_outcomes(file, sources)
    except ValueError as error:
        sys.exit(f"demo_accuracy.py: {error}")
    for name in formats:
        items = [(index, problem) for index, problem in enumerate(problems) if (name, index) not in outcomes]
        start, solved = time.monotonic(), 0
        if not items:
            continue
        folder, flags = (folders[name], []) if folders[name] else (model, format_flags(name))
        for index, problem, content, _ in solve_all(folder, items, options.parallel, [*flags, *options.flags], temperature=0):
            outcomes[name, index] = is_right(content, problem)
            solved += 1
            if file:
                with open(file, "a", encoding="utf-8") as out:
                    out.write(json.dumps({"of": sources[name], "format": name, "index": index, "right": outcomes[name, index]}) + "\n")
        print(f"{name}: {solved} problems in {time.monotonic() - start:.0f} s", flush=True)
    right = {name: [outcomes[name, index] for index in range(len(problems))] for name in formats}
    failed = []
    for name in formats:
        text = f"{name:12} {sum(right[name]):5} / {len(problems):5}  {100 * sum(right[name]) / len(problems):6.2f} %"
        if name != formats[0]:
            loss, half = paired_loss(right[formats[0]], right[name])
            text += f"   loses {loss:.2f} points against {formats[0]}, 95 %: {loss - half:.2f} to {loss + half:.2f}"
            if loss > LOSSES.get(name, math.inf):
                failed.append(f"{name} loses more than {LOSSES[name]} points")
        print(text)
    if {"int4", "gptq"} <= right.keys() and paired_loss(right["int4"], right["gptq"])[0] > GPTQ_LOSSES:
        failed.append(f"gptq loses more than {GPTQ_LOSSES} points against int4")
    for failure in failed:
        print(f"FAIL: {failure}")
    return 1 if failed else 0


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--limit", type=int, default=0, help="only the first N problems")
    parser.add_argument("--parallel", type=int, default=16)
    parser.add_argument("--model", default=None)
    parser.add_argument("--failures", type=int, default=10, help="how many wrong answers to show")
    parser.add_argument("--formats", default=None, help="compare these, greedily, with the first of them")
    parser.add_argument("--results", default=None, help="file that keeps the outcomes of --formats")
    parser.add_argument("flags", nargs="*", help="more flags for serve")
    options = parser.parse_args()
    if not PROBLEMS.exists():
        print(f"SKIP: {PROBLEMS} is absent")
        return harness.SKIPPED_STATUS
    problems = harness.read_jsonl(PROBLEMS)
    problems = problems[: options.limit] if options.limit else problems
    try:
        model = options.model or harness.needs_demo()
    except harness.unittest.SkipTest as reason:
        print(f"SKIP: {reason}")
        return harness.SKIPPED_STATUS
    if options.formats:
        return compare_formats(options, model, problems)
    right, total = collections.Counter(), collections.Counter()
    wrong, tokens = [], 0
    start = time.monotonic()
    for _, problem, content, detail in solve_all(model, list(enumerate(problems)), options.parallel, options.flags):
        total[problem["kind"]] += 1
        if is_right(content, problem):
            right[problem["kind"]] += 1
        else:
            wrong.append((problem, content, detail))
        tokens += detail if isinstance(detail, int) else 0
    seconds = time.monotonic() - start
    for kind in sorted(total):
        print(f"{kind:24} {right[kind]:5} / {total[kind]:5}  {100 * right[kind] / total[kind]:6.1f} %")
    share = sum(right.values()) / max(1, sum(total.values()))
    print(f"{'all':24} {sum(right.values()):5} / {sum(total.values()):5}  {100 * share:6.1f} %   "
          f"{seconds:.0f} s, {tokens / seconds:.0f} tokens/s")
    for problem, content, detail in wrong[: options.failures]:
        print(f"wrong: {problem['kind']} {json.dumps(problem['prompt'], ensure_ascii=False)} expected {problem['answer']!r}, got {(content or str())[:80]!r} ({detail})")
    low = [kind for kind in total if right[kind] / total[kind] < PER_KIND]
    if share < OVERALL or low:
        print(f"FAIL: below {OVERALL:.0%} of all or {PER_KIND:.0%} of: {', '.join(low) or '-'}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
