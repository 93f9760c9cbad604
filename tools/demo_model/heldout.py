"""Writes the held-out problems: the kinds take turns, no problem's wording occurs twice."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from random import Random

from kinds import KINDS
from problem import Problem

ROOT = Path(__file__).resolve().parents[2]
DEFAULT = ROOT / "tests" / "data" / "demo_problems.jsonl"


def held_out_problems(count: int, seed: int) -> list[Problem]:
    rng = Random(seed)
    seen: set[str] = set()
    problems: list[Problem] = []
    names = list(KINDS)
    while len(problems) < count:
        problem = KINDS[names[len(problems) % len(names)]](rng)
        if problem.held_out() and problem.prompt not in seen:
            seen.add(problem.prompt)
            problems.append(problem)
    return problems


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=2026)
    parser.add_argument("--output", type=Path, default=DEFAULT)
    arguments = parser.parse_args()
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    with arguments.output.open("w", encoding="utf-8") as file:
        for number, problem in enumerate(held_out_problems(arguments.count, arguments.seed)):
            record = {"id": number, "kind": problem.kind, "prompt": problem.prompt, "answer": problem.answer}
            file.write(json.dumps(record, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main()
