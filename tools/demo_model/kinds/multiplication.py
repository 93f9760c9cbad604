"""Multiplication of numbers up to two digits: one partial product per digit, then an addition."""

from __future__ import annotations

from random import Random

from kinds.addition import add_thought
from kinds.numbers import number_up_to
from problem import Problem

PHRASES = (
    "What is {a} * {b}?",
    "What is {a} × {b}?",
    "Calculate {a} × {b}.",
    "Multiply {a} by {b}.",
    "{a} * {b} = ?",
    "{a}*{b}",
    "计算 {a} × {b}",
    "{a} * {b} 等于多少？",
    "{a}乘以{b}等于多少？",
)


def _partial(a: int, digit: int) -> list[str]:
    low = a % 10 * digit
    high = a // 10 * digit
    carry = low // 10
    return [
        f"{a % 10}*{digit}={low:02}",
        f"{a // 10}*{digit}={high:02}+{carry}={high + carry:02}",
    ]


def mul_thought(a: int, b: int) -> str:
    low, high = a * (b % 10), a * (b // 10)
    lines = [f"multiply {a:02}*{b:02}"]
    lines += _partial(a, b % 10)
    lines.append(f"={low:03}")
    lines += _partial(a, b // 10)
    lines.append(f"={high:03}0")
    lines.append(add_thought(low, high * 10))
    return "\n".join(lines)


def make_mul(rng: Random) -> Problem:
    a, b = number_up_to(rng, 2), number_up_to(rng, 2)
    prompt = rng.choice(PHRASES).format(a=a, b=b)
    return Problem("mul", f"{a}*{b}", prompt, mul_thought(a, b), str(a * b))
