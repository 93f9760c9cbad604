"""Random whole numbers with an even spread of lengths."""

from __future__ import annotations

from random import Random


def number_of_digits(rng: Random, digits: int) -> int:
    """A number of exactly `digits` digits (0 counts as one digit)."""
    low = 0 if digits == 1 else 10 ** (digits - 1)
    return rng.randrange(low, 10**digits)


def number_up_to(rng: Random, most_digits: int) -> int:
    """A number of at most `most_digits` digits, longer ones more often."""
    lengths = range(1, most_digits + 1)
    return number_of_digits(rng, rng.choices(lengths, weights=[2 * n for n in lengths])[0])
