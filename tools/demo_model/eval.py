"""Share of held-out problems that an exported model solves, per kind; the final answer has to be exactly equal."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

from tokenizers import Tokenizer

from dialogue import OPEN_THOUGHT, turn
from generate import Sampling, complete
from heldout import DEFAULT
from weights import load_folder

END_OF_THOUGHT = "</think>"


def final_answer(text: str) -> str | None:
    """What follows the thought; None where the thought was never closed."""
    _, closed, answer = text.rpartition(END_OF_THOUGHT)
    return answer.strip("\n") if closed else None


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=DEFAULT.parents[2] / "models" / "demo")
    parser.add_argument("--problems", type=Path, default=DEFAULT)
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--batch", type=int, default=250)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--temperature", type=float, default=0.6)
    parser.add_argument("--top-p", type=float, default=0.95)
    parser.add_argument("--top-k", type=int, default=20)
    parser.add_argument("--show-wrong", type=int, default=0, help="print this many wrong solutions per kind")
    arguments = parser.parse_args()

    model = load_folder(arguments.folder)
    tokenizer = Tokenizer.from_file(str(arguments.folder / "tokenizer.json"))
    sampling = Sampling(arguments.temperature, arguments.top_p, arguments.top_k)
    with arguments.problems.open(encoding="utf-8") as file:
        problems = [json.loads(line) for line in file][: arguments.count]
    asked: Counter[str] = Counter()
    solved: Counter[str] = Counter()
    for start in range(0, len(problems), arguments.batch):
        part = problems[start : start + arguments.batch]
        prompts = [turn("user", problem["prompt"]) + OPEN_THOUGHT for problem in part]
        texts = complete(model, tokenizer, prompts, sampling, arguments.seed + start)
        for problem, text in zip(part, texts):
            kind = problem["kind"]
            asked[kind] += 1
            right = final_answer(text) == problem["answer"]
            solved[kind] += right
            if not right and asked[kind] - solved[kind] <= arguments.show_wrong:
                print(f"--- {kind}: {problem['prompt']} (right: {problem['answer']})\n{text}")
    for kind, count in asked.items():
        print(f"{kind:8} {solved[kind]:5} / {count:5}  {100 * solved[kind] / count:6.2f} %")
    total, right = sum(asked.values()), sum(solved.values())
    print(f"{'all':8} {right:5} / {total:5}  {100 * right / total:6.2f} %")


if __name__ == "__main__":
    main()
