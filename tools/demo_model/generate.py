"""Batched sampling with a key-value cache, as the service samples: temperature, top-k, top-p."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from tokenizers import Tokenizer
from torch import Tensor

from control_tokens import END_OF_TEXT, END_OF_TURN
from model import KeyValueCache, Qwen3, rotary_tables


@dataclass(frozen=True)
class Sampling:
    temperature: float = 0.6
    top_p: float = 0.95
    top_k: int = 20


def pick(logits: Tensor, sampling: Sampling, random: torch.Generator) -> Tensor:
    """One id per row."""
    if sampling.temperature == 0.0:
        return logits.argmax(dim=-1)
    values, ids = (logits / sampling.temperature).topk(sampling.top_k, dim=-1)
    shares = values.softmax(dim=-1)
    shares[shares.cumsum(dim=-1) - shares >= sampling.top_p] = 0.0
    return ids.gather(1, torch.multinomial(shares, 1, generator=random)).squeeze(1)


@torch.inference_mode()
def complete(
    model: Qwen3,
    tokenizer: Tokenizer,
    prompts: list[str],
    sampling: Sampling,
    seed: int,
    most_tokens: int = 320,
) -> list[str]:
    """The text that follows each prompt, up to the end of the turn."""
    random = torch.Generator().manual_seed(seed)
    stop = torch.tensor([tokenizer.token_to_id(END_OF_TURN), tokenizer.token_to_id(END_OF_TEXT)])
    encoded = [tokenizer.encode(prompt).ids for prompt in prompts]
    width = max(map(len, encoded))
    ids = torch.full((len(encoded), width), int(stop[1]))
    seen = torch.zeros(len(encoded), width, dtype=torch.bool)
    for row, prompt in enumerate(encoded):
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        seen[row, width - len(prompt) :] = True
    cos, sin = rotary_tables(model.config, width + most_tokens)
    caches = [KeyValueCache() for _ in model.layers]
    mask = torch.ones(width, width, dtype=torch.bool).tril() & seen[:, None, None, None, :]
    mask = mask | torch.eye(width, dtype=torch.bool)
    hidden = model.hidden(ids, cos[:width], sin[:width], mask, caches)[:, -1]
    done = torch.zeros(len(encoded), dtype=torch.bool)
    chosen: list[Tensor] = []
    for place in range(width, width + most_tokens):
        logits = model.logits(hidden)
        logits[:, tokenizer.get_vocab_size() :] = float("-inf")
        token = torch.where(done, stop[1], pick(logits, sampling, random))
        done |= torch.isin(token, stop)
        chosen.append(token)
        if done.all():
            break
        seen = torch.cat((seen, torch.ones(len(encoded), 1, dtype=torch.bool)), dim=1)
        where = slice(place, place + 1)
        hidden = model.hidden(token[:, None], cos[where], sin[where], seen[:, None, None, None, :], caches)[:, -1]
    texts = []
    for row in torch.stack(chosen, dim=1).tolist():
        end = next((i for i, token in enumerate(row) if token in stop.tolist()), len(row))
        texts.append(tokenizer.decode(row[:end], skip_special_tokens=False))
    return texts
