"""Trains the demo model on a given number of tokens; the schedule follows the tokens, so it always ends cooled down.

    python train.py --million-tokens 36            # prints the speed first, saves runs/checkpoint.pt every 5 minutes
    python train.py --million-tokens 36 --resume   # goes on after a stop; with more tokens, trains further
"""

from __future__ import annotations

import argparse
import re
import sys
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer
from torch import Tensor

from batches import Batch, batches
from control_tokens import END_OF_TEXT
from model import ModelConfig, Qwen3, rotary_tables
from optimizer import Adam, Muon

ROOT = Path(__file__).resolve().parents[2]
LONGEST = 1024
MICRO_BATCHES = 2
BATCH_TOKENS = 3072
WARM_UP = 0.015
COOL_DOWN_FROM = 0.4
LAST_RATE = 0.01
CHECKPOINT_SECONDS = 300.0
LONGEST_STEP_SECONDS = 30.0
"""A longer step was a pause of the whole process and does not count as training time."""
LOG_STEPS = 100


def rate_scale(progress: float) -> float:
    if progress < WARM_UP:
        return progress / WARM_UP
    if progress < COOL_DOWN_FROM:
        return 1.0
    done = (progress - COOL_DOWN_FROM) / (1 - COOL_DOWN_FROM)
    return max(LAST_RATE, 1 - (1 - LAST_RATE) * done)


class Trainer:
    def __init__(self, arguments: argparse.Namespace) -> None:
        self.arguments = arguments
        self.device = torch.device(arguments.device)
        torch.manual_seed(arguments.seed)
        self.config = ModelConfig()
        self.tokenizer = Tokenizer.from_file(str(ROOT / "models" / "demo" / "tokenizer.json"))
        self.model = Qwen3(self.config).to(self.device)
        self.master = {name: p.detach().clone() for name, p in self.model.named_parameters()}
        self.model.bfloat16()
        matrices = [name for name, p in self.master.items() if p.ndim == 2 and "embed" not in name]
        others = [name for name in self.master if name not in matrices]
        self.muon = Muon(matrices, self._fused_rows(matrices), rate=0.02, decay=0.05)
        self.adam = Adam(others, rate=0.003)
        cos, sin = rotary_tables(self.config, LONGEST)
        self.cos, self.sin = cos.to(self.device), sin.to(self.device)
        self.causal = torch.ones(LONGEST, LONGEST, dtype=torch.bool, device=self.device).tril()
        self.loss = torch.compile(self._loss, dynamic=True) if arguments.compile else self._loss
        self.step = self.tokens = 0
        self.seconds = 0.0
        self.seed = arguments.seed
        if arguments.resume:
            self._resume()

    def _fused_rows(self, matrices: list[str]) -> dict[str, tuple[int, ...]]:
        c = self.config
        kv = c.num_key_value_heads * c.head_dim
        rows = {"qkv_proj": (c.num_attention_heads * c.head_dim, kv, kv), "gate_up_proj": (c.intermediate_size,) * 2}
        return {name: rows[part] for name in matrices for part in rows if part in name}

    def _loss(self, ids: Tensor, cos: Tensor, sin: Tensor, mask: Tensor, places: Tensor, targets: Tensor) -> Tensor:
        hidden = self.model.hidden(ids, cos, sin, mask).flatten(0, 1)[places]
        return F.cross_entropy(self.model.logits(hidden), targets, reduction="sum")

    def _gradients(self, group: list[Batch]) -> tuple[dict[str, Tensor], float]:
        learnt = sum(batch.targets.numel() for batch in group)
        total = 0.0
        for batch in group:
            length = batch.ids.shape[1]
            loss = self.loss(
                batch.ids.to(self.device),
                self.cos[:length],
                self.sin[:length],
                self.causal[:length, :length],
                batch.places.to(self.device),
                batch.targets.to(self.device),
            )
            (loss / learnt).backward()
            total += loss.item()
        gradients = {name: p.grad.float() for name, p in self.model.named_parameters()}
        self.model.zero_grad(set_to_none=True)
        return gradients, total / learnt

    @torch.no_grad()
    def _publish(self) -> None:
        for name, p in self.model.named_parameters():
            p.copy_(self.master[name])

    def _save(self) -> None:
        path: Path = self.arguments.checkpoint
        path.parent.mkdir(parents=True, exist_ok=True)
        state = {
            "config": self.config.to_dict(),
            "weights": self.master,
            "muon": self.muon.state(),
            "adam": self.adam.state(),
            "step": self.step,
            "tokens": self.tokens,
            "seconds": self.seconds,
        }
        torch.save(state, path.with_suffix(".new"))
        path.with_suffix(".new").replace(path)

    def _resume(self) -> None:
        state = torch.load(self.arguments.checkpoint, map_location=self.device, weights_only=True)
        self.master = state["weights"]
        self.muon.load(state["muon"])
        self.adam.load(state["adam"])
        self.step, self.tokens, self.seconds = state["step"], state["tokens"], state["seconds"]
        self.seed += self.step
        self._publish()

    def _log(self, shown: tuple[int, float, int], losses: float, scale: float) -> None:
        step, seconds, tokens = shown
        speed = (self.tokens - tokens) / max(self.seconds - seconds, 1e-9)
        print(
            f"step {self.step}  {self.seconds / 60:.1f} min  {self.tokens / 1e6:.2f} M tokens  "
            f"{speed:.0f} tokens/s  loss {losses / (self.step - step):.4f}  rate {scale:.3f}",
            flush=True,
        )

    def run(self) -> None:
        end = 1e6 * self.arguments.million_tokens
        source = batches(self.tokenizer, self.seed, BATCH_TOKENS, self.tokenizer.token_to_id(END_OF_TEXT))
        saved = self.seconds
        shown = (self.step, self.seconds, self.tokens)
        losses = 0.0
        while self.tokens < end:
            started = time.monotonic()
            group = [next(source) for _ in range(MICRO_BATCHES)]
            gradients, loss = self._gradients(group)
            scale = rate_scale(self.tokens / end)
            with torch.no_grad():
                self.muon.step(self.master, gradients, scale)
                self.adam.step(self.master, gradients, scale)
            self._publish()
            self.step += 1
            self.tokens += sum(batch.tokens for batch in group)
            losses += loss
            took = time.monotonic() - started
            self.seconds += took if took < LONGEST_STEP_SECONDS else 0.0
            if self.step == 10 or self.step % LOG_STEPS == 0:
                self._log(shown, losses, scale)
                shown, losses = (self.step, self.seconds, self.tokens), 0.0
            if self.seconds - saved > CHECKPOINT_SECONDS:
                self._save()
                saved = self.seconds
        self._save()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--million-tokens", type=float, default=36.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--compile", action=argparse.BooleanOptionalAction, default=True)
    parser.add_argument("--checkpoint", type=Path, default=Path(__file__).resolve().parent / "runs" / "checkpoint.pt")
    arguments = parser.parse_args()
    blas = re.search(r"BLAS_INFO=(\w+)", torch.__config__.show())
    if not blas and arguments.device == "cpu":
        sys.exit("this torch has no BLAS: training would take hours; install one that has, such as PyPI's")
    print(f"BLAS {blas.group(1) if blas else 'none'}, {torch.get_num_threads()} threads", flush=True)
    trainer = Trainer(arguments)
    print(f"{sum(p.numel() for p in trainer.master.values()):,} parameters", flush=True)
    trainer.run()


if __name__ == "__main__":
    main()
