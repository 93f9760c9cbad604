"""The kinds of generated problems: each a function from a random generator to a Problem."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from problem import Problem

from kinds.addition import make_add, make_sub
from kinds.comparison import make_compare
from kinds.division import make_div
from kinds.letters import make_caesar, make_count, make_reverse
from kinds.multiplication import make_mul
from kinds.powers import make_modpow
from kinds.sorting import make_sort

KINDS: dict[str, Callable[[Random], Problem]] = {
    "add": make_add,
    "sub": make_sub,
    "mul": make_mul,
    "div": make_div,
    "compare": make_compare,
    "count": make_count,
    "reverse": make_reverse,
    "caesar": make_caesar,
    "sort": make_sort,
    "modpow": make_modpow,
}
