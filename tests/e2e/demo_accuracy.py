"""The share of held-out problems that the demo model solves over HTTP, per kind.

Each problem of tests/data/demo_problems.jsonl is one chat completion with the service's default sampling and seed = its index; the final
answer must be equal. Fails below 95 % of all or 85 % of a kind. Usage: demo_accuracy.py [--limit N] [--parallel N] [--model DIR] [-- serve flags]
"""

import argparse
import collections
import concurrent.futures
import json
import sys
import time

import harness

OVERALL, PER_KIND = 0.95, 0.85
MOST_TOKENS = 2048  # several times the longest right answer: a thought that goes in circles ends
PROBLEMS = harness.SOURCE / "tests" / "data" / "demo_problems.jsonl"


def normalized(text):
    return " ".join((text or "").split())


def solve(service, index, problem):
    answer = service.post("/v1/chat/completions", {"messages": [{"role": "user", "content": problem["prompt"]}], "seed": index,
                                                      "max_tokens": MOST_TOKENS})
    if answer.status != 200:
        return None, answer.text
    message = answer.json()["choices"][0]["message"]
    return message.get("content"), answer.json()["usage"]["completion_tokens"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--limit", type=int, default=0, help="only the first N problems")
    parser.add_argument("--parallel", type=int, default=16)
    parser.add_argument("--model", default=None)
    parser.add_argument("--failures", type=int, default=10, help="how many wrong answers to show")
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
    right, total = collections.Counter(), collections.Counter()
    wrong, tokens = [], 0
    start = time.monotonic()
    with harness.Service(model, *options.flags) as service:
        with concurrent.futures.ThreadPoolExecutor(options.parallel) as pool:
            for problem, (content, detail) in zip(problems, pool.map(lambda item: solve(service, *item), enumerate(problems))):
                total[problem["kind"]] += 1
                if content is not None and normalized(content) == normalized(problem["answer"]):
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
