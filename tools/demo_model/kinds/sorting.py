"""Sorting up to six numbers below 100: the smallest is taken out, the rest is written again."""

from __future__ import annotations

from random import Random

from problem import Problem

PHRASES = (
    "Sort these numbers: {s}",
    "Sort in ascending order: {s}",
    "Put in order from smallest to largest: {s}",
    "把这些数从小到大排序： {s}",
    "从小到大排列： {s}",
)


def sort_thought(numbers: list[int]) -> str:
    lines = ["sort " + " ".join(f"{n:02}" for n in numbers)]
    rest = list(numbers)
    while rest:
        smallest = min(rest)
        rest.remove(smallest)
        lines.append(f"{smallest:02}|" + " ".join(f"{n:02}" for n in rest))
    return "\n".join(lines)


def make_sort(rng: Random) -> Problem:
    count = rng.choices(range(2, 7), weights=(1, 2, 3, 3, 4))[0]
    numbers = [rng.randrange(10 if rng.random() < 0.15 else 100) for _ in range(count)]
    listed = ", ".join(map(str, numbers))
    prompt = rng.choice(PHRASES).format(s=listed)
    answer = ", ".join(map(str, sorted(numbers)))
    return Problem("sort", listed, prompt, sort_thought(numbers), answer)
