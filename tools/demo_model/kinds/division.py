"""Division with remainder by one digit: long division, one digit of the dividend per line."""

from __future__ import annotations

from random import Random

from kinds.numbers import number_up_to
from problem import Problem

WIDTH = 4

ENGLISH = (
    "What is {a} divided by {b}, with remainder?",
    "Divide {a} by {b}.",
    "Divide {a} by {b} and give the remainder.",
    "What is {a} / {b}?",
    "{a} / {b} = ?",
)
CHINESE = (
    "计算 {a} ÷ {b}",
    "{a}除以{b}等于多少？",
    "{a} / {b} 的商和余数是多少？",
    "{a} 除以 {b}，商和余数各是多少？",
)


def div_thought(a: int, b: int) -> str:
    lines = [f"divide {a:0{WIDTH}}/{b}"]
    remainder = 0
    for character in f"{a:0{WIDTH}}":
        part = 10 * remainder + int(character)
        remainder = part % b
        lines.append(f"{part:02}/{b}={part // b}r{remainder}")
    lines.append(f"={a // b:0{WIDTH}}r{remainder}")
    return "\n".join(lines)


def make_div(rng: Random) -> Problem:
    a, b = number_up_to(rng, WIDTH), rng.randrange(2, 10)
    chinese = rng.random() < 0.5
    prompt = rng.choice(CHINESE if chinese else ENGLISH).format(a=a, b=b)
    word = "余" if chinese else "remainder"
    return Problem("div", f"{a}/{b}", prompt, div_thought(a, b), f"{a // b} {word} {a % b}")
