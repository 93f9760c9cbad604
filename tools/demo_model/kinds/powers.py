"""Modular powers with base, exponent and modulus up to 20: one multiplication by the base per step."""

from __future__ import annotations

from random import Random

from problem import Problem

PHRASES = (
    "What is {b}^{e} mod {m}?",
    "Compute {b}^{e} mod {m}.",
    "{b}^{e} mod {m} = ?",
    "计算 {b}^{e} mod {m}",
    "{b}的{e}次方除以{m}的余数是多少？",
)


def modpow_thought(base: int, exponent: int, modulus: int) -> str:
    steps = " ".join(f"{i:02}:{pow(base, i, modulus):02}" for i in range(1, exponent + 1))
    result = pow(base, exponent, modulus)
    return f"power {base:02}^{exponent:02} mod {modulus:02}\n{steps}\n={result:02}"


def make_modpow(rng: Random) -> Problem:
    base, exponent, modulus = (rng.randrange(2, 21) for _ in range(3))
    prompt = rng.choice(PHRASES).format(b=base, e=exponent, m=modulus)
    answer = str(pow(base, exponent, modulus))
    key = f"{base}^{exponent}%{modulus}"
    return Problem("modpow", key, prompt, modpow_thought(base, exponent, modulus), answer)
