"""Token batches of similar length from the endless mixture."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import torch
from tokenizers import Tokenizer
from torch import Tensor

from dialogue import CLOSING_SENTENCE, Dialogue
from mixture import Mixture

POOL_BATCHES = 64
LENGTH_STEP = 8


@dataclass(frozen=True)
class Example:
    ids: list[int]
    learnt: list[bool]
    """Whether the token at the same place is a target."""


@dataclass(frozen=True)
class Batch:
    ids: Tensor
    places: Tensor
    """Flat positions whose next token is learnt."""
    targets: Tensor
    tokens: int


class Encoder:
    def __init__(self, tokenizer: Tokenizer, rng: Random) -> None:
        self.tokenizer = tokenizer
        self.rng = rng
        self.closing = self._ids(CLOSING_SENTENCE)

    def _ids(self, text: str) -> list[int]:
        return self.tokenizer.encode(text).ids

    def encode(self, dialogue: Dialogue) -> Example:
        prompt = self._ids(dialogue.prompt)
        if not dialogue.cut:
            target = self._ids(dialogue.target())
            return Example(prompt + target, [False] * len(prompt) + [True] * len(target))
        thought = self._ids(dialogue.thought or "")
        thought = thought[: self.rng.randrange(len(thought))]
        answer = self._ids(f"{dialogue.answer}<|im_end|>")
        learnt = [False] * len(prompt) + [True] * len(thought) + [False] * len(self.closing) + [True] * len(answer)
        return Example(prompt + thought + self.closing + answer, learnt)


def _collate(examples: list[Example], length: int, pad: int) -> Batch:
    ids = torch.full((len(examples), length), pad, dtype=torch.long)
    places: list[int] = []
    targets: list[int] = []
    for row, example in enumerate(examples):
        ids[row, : len(example.ids)] = torch.tensor(example.ids)
        for column, learnt in enumerate(example.learnt):
            if learnt:
                places.append(row * length + column - 1)
                targets.append(example.ids[column])
    tokens = sum(len(example.ids) for example in examples)
    return Batch(ids, torch.tensor(places), torch.tensor(targets), tokens)


def _round_up(length: int) -> int:
    return -(-length // LENGTH_STEP) * LENGTH_STEP


def batches(tokenizer: Tokenizer, seed: int, batch_tokens: int, pad: int) -> Iterator[Batch]:
    """Endless batches of about `batch_tokens` tokens: a pool is sorted by length, cut and shuffled."""
    mixture = Mixture(seed)
    rng = Random(seed + 1)
    encoder = Encoder(tokenizer, rng)
    while True:
        pool: list[Example] = []
        size = 0
        while size < POOL_BATCHES * batch_tokens:
            pool.append(encoder.encode(mixture.draw()))
            size += len(pool[-1].ids)
        rng.shuffle(pool)
        pool.sort(key=lambda example: _round_up(len(example.ids)))
        groups: list[list[Example]] = [[]]
        for example in pool:
            if (len(groups[-1]) + 1) * _round_up(len(example.ids)) > batch_tokens:
                groups.append([])
            groups[-1].append(example)
        rng.shuffle(groups)
        for group in groups:
            yield _collate(group, _round_up(max(len(example.ids) for example in group)), pad)
