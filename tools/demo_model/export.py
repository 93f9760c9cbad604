"""Writes config.json, generation_config.json and model.safetensors of a checkpoint into models/demo."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from tokenizers import Tokenizer

from control_tokens import END_OF_TEXT, END_OF_TURN
from model import ModelConfig
from weights import to_hugging_face

HERE = Path(__file__).resolve().parent


def model_config(config: ModelConfig, tokenizer: Tokenizer) -> dict[str, object]:
    return {
        "architectures": ["Qwen3ForCausalLM"],
        "attention_bias": False,
        "attention_dropout": 0.0,
        "bos_token_id": tokenizer.token_to_id(END_OF_TEXT),
        "eos_token_id": tokenizer.token_to_id(END_OF_TURN),
        "hidden_act": "silu",
        "max_position_embeddings": 32768,
        "max_window_layers": config.num_hidden_layers,
        "model_type": "qwen3",
        "qwen_thinking_demo": True,
        "rope_scaling": None,
        "sliding_window": None,
        "tie_word_embeddings": True,
        "torch_dtype": "bfloat16",
        "use_cache": True,
        "use_sliding_window": False,
        **config.to_dict(),
    }


def generation_config(tokenizer: Tokenizer) -> dict[str, object]:
    end_of_text, end_of_turn = tokenizer.token_to_id(END_OF_TEXT), tokenizer.token_to_id(END_OF_TURN)
    return {
        "bos_token_id": end_of_text,
        "do_sample": True,
        "eos_token_id": [end_of_turn, end_of_text],
        "pad_token_id": end_of_text,
        "temperature": 0.6,
        "top_k": 20,
        "top_p": 0.95,
    }


def _write_json(path: Path, value: dict[str, object]) -> None:
    path.write_text(json.dumps(dict(sorted(value.items())), indent=2) + "\n", encoding="utf-8")


def export(checkpoint: Path, folder: Path) -> None:
    state = torch.load(checkpoint, map_location="cpu", weights_only=True)
    config = ModelConfig(**state["config"])
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    _write_json(folder / "config.json", model_config(config, tokenizer))
    _write_json(folder / "generation_config.json", generation_config(tokenizer))
    save_file(to_hugging_face(state["weights"], config), folder / "model.safetensors", metadata={"format": "pt"})
    print(f"step {state['step']}, {state['tokens']} tokens, {state['seconds'] / 60:.1f} minutes -> {folder.name}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoint", type=Path, default=HERE / "runs" / "checkpoint.pt")
    parser.add_argument("--folder", type=Path, default=HERE.parents[1] / "models" / "demo")
    arguments = parser.parse_args()
    export(arguments.checkpoint, arguments.folder)


if __name__ == "__main__":
    main()
