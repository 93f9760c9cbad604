"""Addition and subtraction, column by column from the right with an explicit carry or borrow."""

from __future__ import annotations

from random import Random

from kinds.numbers import number_up_to
from problem import Problem

WIDTH = 4

ADD_PHRASES = (
    "What is {a} + {b}?",
    "Calculate {a} + {b}.",
    "Add {a} and {b}.",
    "{a} + {b} = ?",
    "{a}+{b}",
    "计算 {a} + {b}",
    "{a} + {b} 等于多少？",
    "{a}加{b}等于多少？",
)
SUB_PHRASES = (
    "What is {a} - {b}?",
    "Calculate {a} - {b}.",
    "Subtract {b} from {a}.",
    "{a} - {b} = ?",
    "{a}-{b}",
    "计算 {a} - {b}",
    "{a} - {b} 等于多少？",
    "{a}减{b}等于多少？",
)


def _columns(a: int, b: int) -> list[tuple[int, int]]:
    return [(a // 10**i % 10, b // 10**i % 10) for i in range(WIDTH)]


def add_thought(a: int, b: int) -> str:
    lines = [f"add {a:0{WIDTH}}+{b:0{WIDTH}}"]
    carry = 0
    for x, y in _columns(a, b):
        total = x + y + carry
        lines.append(f"{x}+{y}+{carry}={total:02}")
        carry = total // 10
    lines.append(f"={a + b:0{WIDTH + 1}}")
    return "\n".join(lines)


def _subtract(a: int, b: int) -> tuple[list[str], int]:
    lines: list[str] = []
    borrow = 0
    for x, y in _columns(a, b):
        difference = x - y - borrow
        taken = int(difference < 0)
        lines.append(f"{x}-{y}-{borrow}={difference % 10}b{taken}")
        borrow = taken
    return lines, borrow


def sub_thought(a: int, b: int) -> str:
    lines, borrow = _subtract(a, b)
    lines.insert(0, f"subtract {a:0{WIDTH}}-{b:0{WIDTH}}")
    if borrow:
        lines.append(f"swap {b:0{WIDTH}}-{a:0{WIDTH}}")
        lines += _subtract(b, a)[0]
    lines.append(f"={'-' if borrow else ''}{abs(a - b):0{WIDTH}}")
    return "\n".join(lines)


def make_add(rng: Random) -> Problem:
    a, b = number_up_to(rng, WIDTH), number_up_to(rng, WIDTH)
    prompt = rng.choice(ADD_PHRASES).format(a=a, b=b)
    return Problem("add", f"{a}+{b}", prompt, add_thought(a, b), str(a + b))


def make_sub(rng: Random) -> Problem:
    a, b = number_up_to(rng, WIDTH), number_up_to(rng, WIDTH)
    if a < b and rng.random() < 0.5:
        a, b = b, a
    prompt = rng.choice(SUB_PHRASES).format(a=a, b=b)
    return Problem("sub", f"{a}-{b}", prompt, sub_thought(a, b), str(a - b))
