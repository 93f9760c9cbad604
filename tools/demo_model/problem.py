"""One generated problem, and the rule that decides which problems are held out of training."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

HELD_OUT_OF = 10


@dataclass(frozen=True)
class Problem:
    kind: str
    key: str
    """The problem without its wording: the same for every phrasing and language."""
    prompt: str
    thought: str
    answer: str

    def held_out(self) -> bool:
        digest = hashlib.sha256(f"{self.kind}|{self.key}".encode()).digest()
        return int.from_bytes(digest[:4], "big") % HELD_OUT_OF == 0
