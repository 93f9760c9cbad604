"""Muon for the matrices (momentum, orthogonalised by Newton-Schulz steps), Adam for embedding and norms."""

from __future__ import annotations

import torch
from torch import Tensor

MUON_MOMENTUM = 0.95
ADAM_BETAS = (0.9, 0.98)
ADAM_EPS = 1e-10
NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)


def orthogonalise(matrix: Tensor, steps: int = 5) -> Tensor:
    a, b, c = NEWTON_SCHULZ
    x = matrix.bfloat16()
    x = x / (x.norm() + 1e-7)
    tall = x.shape[0] > x.shape[1]
    if tall:
        x = x.T
    for _ in range(steps):
        gram = x @ x.T
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.T if tall else x).float()


class Muon:
    """`splits[name]` gives the row counts of the matrices that are fused in one parameter."""

    def __init__(self, names: list[str], splits: dict[str, tuple[int, ...]], rate: float, decay: float) -> None:
        self.names, self.splits, self.rate, self.decay = names, splits, rate, decay
        self.momentum: dict[str, Tensor] = {}

    def step(self, weights: dict[str, Tensor], gradients: dict[str, Tensor], scale: float) -> None:
        for name in self.names:
            weight, gradient = weights[name], gradients[name]
            momentum = self.momentum.setdefault(name, torch.zeros_like(weight))
            momentum.lerp_(gradient, 1 - MUON_MOMENTUM)
            direction = gradient.lerp(momentum, MUON_MOMENTUM)
            parts = direction.split(self.splits.get(name, (weight.shape[0],)))
            update = torch.cat([orthogonalise(p) * max(1.0, p.shape[0] / p.shape[1]) ** 0.5 for p in parts])
            rate = self.rate * scale
            weight.mul_(1 - rate * self.decay).add_(update, alpha=-rate)

    def state(self) -> dict[str, Tensor]:
        return self.momentum

    def load(self, state: dict[str, Tensor]) -> None:
        self.momentum = state


class Adam:
    def __init__(self, names: list[str], rate: float) -> None:
        self.names, self.rate = names, rate
        self.moments: dict[str, tuple[Tensor, Tensor]] = {}
        self.steps = 0

    def step(self, weights: dict[str, Tensor], gradients: dict[str, Tensor], scale: float) -> None:
        self.steps += 1
        first_beta, second_beta = ADAM_BETAS
        for name in self.names:
            weight, gradient = weights[name], gradients[name]
            if name not in self.moments:
                self.moments[name] = (torch.zeros_like(weight), torch.zeros_like(weight))
            first, second = self.moments[name]
            first.lerp_(gradient, 1 - first_beta)
            second.lerp_(gradient.square(), 1 - second_beta)
            mean = first / (1 - first_beta**self.steps)
            deviation = (second / (1 - second_beta**self.steps)).sqrt()
            weight.sub_(mean / (deviation + ADAM_EPS), alpha=self.rate * scale)

    def state(self) -> dict[str, object]:
        return {"moments": self.moments, "steps": self.steps}

    def load(self, state: dict[str, object]) -> None:
        self.moments, self.steps = state["moments"], state["steps"]
