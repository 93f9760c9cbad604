"""Checks that transformers loads the exported folder and computes the same logits as this trainer's model."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from transformers import AutoTokenizer, Qwen3ForCausalLM

from model import rotary_tables
from weights import load_folder

MESSAGES = [{"role": "user", "content": "What is 4827 + 396?"}]


@torch.inference_mode()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    default = Path(__file__).resolve().parents[2] / "models" / "demo"
    parser.add_argument("--folder", type=Path, default=default)
    folder = parser.parse_args().folder

    reference = Qwen3ForCausalLM.from_pretrained(folder, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(folder)
    text = tokenizer.apply_chat_template(MESSAGES, add_generation_prompt=True, tokenize=False)
    ids = tokenizer(text, return_tensors="pt").input_ids
    expected = reference(ids).logits

    model = load_folder(folder)
    length = ids.shape[1]
    cos, sin = rotary_tables(model.config, length)
    mask = torch.ones(length, length, dtype=torch.bool).tril()
    difference = (model.logits(model.hidden(ids, cos, sin, mask)) - expected).abs().max().item()
    print(f"largest difference of a logit: {difference:.2e}")
    if difference > 1e-3:
        raise SystemExit("the exported folder does not compute what the trainer computes")

    answer = reference.generate(ids, max_new_tokens=200, do_sample=False)
    print(tokenizer.decode(answer[0, length:], skip_special_tokens=False))


if __name__ == "__main__":
    main()
