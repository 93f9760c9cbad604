"""Puzzles on letters separated by spaces: counting, reversing, Caesar cipher."""

from __future__ import annotations

from random import Random
from string import ascii_lowercase

from problem import Problem

MOST = 8

COUNT_ONE = (
    "How many times does the letter {c} occur in: {s}",
    "How many {c} are in {s}?",
    "Count the letter {c} in: {s}",
    "数一数 {s} 里有几个 {c}",
    "字母 {c} 在 {s} 中出现几次？",
)
COUNT_ALL = (
    "How many letters are there in: {s}",
    "Count the letters: {s}",
    "{s} 一共有几个字母？",
)
REVERSE = (
    "Reverse the letters: {s}",
    "Write these letters backwards: {s}",
    "Reverse {s}",
    "把这些字母倒过来： {s}",
    "反转字母： {s}",
)
ENCRYPT = (
    "Encrypt with a Caesar cipher, shift {k}: {s}",
    "Caesar cipher with shift {k}: {s}",
    "Shift these letters forward by {k}: {s}",
    "用凯撒密码加密，位移 {k}： {s}",
    "凯撒密码，向后移 {k} 位： {s}",
)
DECRYPT = (
    "Decrypt this Caesar cipher, shift {k}: {s}",
    "Shift these letters back by {k}: {s}",
    "用凯撒密码解密，位移 {k}： {s}",
)


def _letters(rng: Random) -> str:
    length = rng.choices(range(1, MOST + 1), weights=(1, 2, 4, 5, 5, 5, 5, 5))[0]
    alphabet = rng.sample(ascii_lowercase, rng.choice((2, 3, 5, 26)))
    return "".join(rng.choice(alphabet) for _ in range(length))


def _numbered(text: str) -> str:
    return "".join(f"{i} {c}" for i, c in enumerate(text, start=1))


def make_count(rng: Random) -> Problem:
    text = _letters(rng)
    spaced = " ".join(text)
    if rng.random() < 0.3:
        prompt = rng.choice(COUNT_ALL).format(s=spaced)
        thought = f"count\n{_numbered(text)}\n={len(text)}"
        return Problem("count", f"{text}", prompt, thought, str(len(text)))
    letter = rng.choice(text if rng.random() < 0.85 else ascii_lowercase)
    running = "".join(f" {c}{text[: i + 1].count(letter)}" for i, c in enumerate(text))
    prompt = rng.choice(COUNT_ONE).format(s=spaced, c=letter)
    thought = f"count {letter}\n{running}\n={text.count(letter)}"
    return Problem("count", f"{letter} {text}", prompt, thought, str(text.count(letter)))


def make_reverse(rng: Random) -> Problem:
    text = _letters(rng)
    backwards = "".join(f"{i} {text[i - 1]}" for i in range(len(text), 0, -1))
    prompt = rng.choice(REVERSE).format(s=" ".join(text))
    thought = f"reverse\n{_numbered(text)}\n{backwards}"
    return Problem("reverse", text, prompt, thought, " ".join(reversed(text)))


def make_caesar(rng: Random) -> Problem:
    text = _letters(rng)
    shift = rng.randrange(1, 26)
    decrypt = rng.random() < 0.35
    forward = 26 - shift if decrypt else shift
    moved = "".join(ascii_lowercase[(ord(c) - ord("a") + forward) % 26] for c in text)
    pairs = "".join(f"{i} {c} {m}" for i, (c, m) in enumerate(zip(text, moved), start=1))
    prompt = rng.choice(DECRYPT if decrypt else ENCRYPT).format(s=" ".join(text), k=shift)
    header = f"caesar {-shift}={forward:02}" if decrypt else f"caesar {forward:02}"
    thought = f"{header}\n{_numbered(text)}\n{pairs}"
    key = f"{-shift if decrypt else shift} {text}"
    return Problem("caesar", key, prompt, thought, " ".join(moved))
