"""Comparison of two numbers up to four digits: digit by digit from the left."""

from __future__ import annotations

from random import Random

from kinds.numbers import number_of_digits, number_up_to
from problem import Problem

WIDTH = 4

LARGER = (
    "Which is larger, {a} or {b}?",
    "Which number is bigger: {a} or {b}?",
    "{a}和{b}哪个更大？",
    "{a} 和 {b} 哪个大？",
)
SMALLER = (
    "Which is smaller, {a} or {b}?",
    "{a}和{b}哪个更小？",
    "{a} 和 {b} 哪个小？",
)
RELATION = (
    "Compare {a} and {b}.",
    "Compare {a} with {b} using <, > or =.",
    "比较 {a} 和 {b}",
    "比较{a}和{b}的大小。",
)


def sign_of(a: int, b: int) -> str:
    return "<" if a < b else ">" if a > b else "="


def compare_thought(word: str, a: int, b: int) -> str:
    lines = [f"{word} {a:0{WIDTH}},{b:0{WIDTH}}"]
    for x, y in zip(f"{a:0{WIDTH}}", f"{b:0{WIDTH}}"):
        lines.append(x + sign_of(int(x), int(y)) + y)
        if x != y:
            break
    lines.append(f"{a}{sign_of(a, b)}{b}")
    return "\n".join(lines)


def _pair(rng: Random) -> tuple[int, int]:
    a = number_up_to(rng, WIDTH)
    if rng.random() < 0.5:
        return a, number_up_to(rng, WIDTH)
    digits = list(str(number_of_digits(rng, len(str(a)))))
    shared = rng.randrange(len(digits) + 1)
    digits[:shared] = str(a)[:shared]
    return a, int("".join(digits))


def make_compare(rng: Random) -> Problem:
    a, b = _pair(rng)
    task = "compare" if a == b else rng.choice(("larger", "smaller", "compare"))
    phrases = {"larger": LARGER, "smaller": SMALLER, "compare": RELATION}[task]
    answer = {
        "larger": str(max(a, b)),
        "smaller": str(min(a, b)),
        "compare": f"{a} {sign_of(a, b)} {b}",
    }[task]
    prompt = rng.choice(phrases).format(a=a, b=b)
    return Problem("compare", f"{task} {a},{b}", prompt, compare_thought(task, a, b), answer)
