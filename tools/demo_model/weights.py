"""Names of the weights in a Qwen3ForCausalLM folder, and in this trainer, where some are fused."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor

from model import ModelConfig, Qwen3

FUSED = {
    "self_attn.qkv_proj": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "mlp.gate_up_proj": ("mlp.gate_proj", "mlp.up_proj"),
}


def _rows(config: ModelConfig, fused: str) -> list[int]:
    if fused == "mlp.gate_up_proj":
        return [config.intermediate_size] * 2
    kv = config.num_key_value_heads * config.head_dim
    return [config.num_attention_heads * config.head_dim, kv, kv]


def to_hugging_face(weights: dict[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    result: dict[str, Tensor] = {}
    for name, weight in weights.items():
        for fused, parts in FUSED.items():
            if fused in name:
                pieces = weight.split(_rows(config, fused))
                result |= {"model." + name.replace(fused, part): piece for part, piece in zip(parts, pieces)}
                break
        else:
            result["model." + name] = weight
    return {name: weight.to(torch.bfloat16).contiguous() for name, weight in result.items()}


def from_hugging_face(weights: dict[str, Tensor], config: ModelConfig) -> dict[str, Tensor]:
    plain = {name.removeprefix("model."): weight for name, weight in weights.items()}
    for layer in range(config.num_hidden_layers):
        for fused, parts in FUSED.items():
            pieces = [plain.pop(f"layers.{layer}.{part}.weight") for part in parts]
            plain[f"layers.{layer}.{fused}.weight"] = torch.cat(pieces)
    return plain


def load_folder(folder: Path) -> Qwen3:
    """The model of an exported folder, in float32."""
    written = json.loads((folder / "config.json").read_text(encoding="utf-8"))
    config = ModelConfig(**{key: written[key] for key in ModelConfig().to_dict()})
    model = Qwen3(config)
    weights = from_hugging_face(load_file(folder / "model.safetensors"), config)
    model.load_state_dict({name: weight.float() for name, weight in weights.items()})
    return model.eval()
