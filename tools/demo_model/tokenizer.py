"""Trains the byte-level BPE, laid out like Qwen3's, and writes the four tokenizer files."""

from __future__ import annotations

import json
from pathlib import Path
from random import Random

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

import control_tokens
from dialogue import CLOSING_SENTENCE
from kinds import KINDS
from mixture import SYSTEMS
from questions import cryptography, unrelated
from tools_data import weather_dialogue

BASE_VOCABULARY = 2008
PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
TEMPLATE = Path(__file__).resolve().parent / "chat_template.jinja"


def corpus(seed: int = 0) -> list[str]:
    """Every text that the model must read or write well, the frequent ones more often."""
    rng = Random(seed)
    texts: list[str] = []
    for make in KINDS.values():
        for _ in range(300):
            problem = make(rng)
            texts += [problem.prompt, "\n" + problem.thought + "\n", problem.answer]
    for question in cryptography():
        texts += list(question.wordings) + [question.answer, question.thought + "\n"] * 8
    for question in unrelated():
        texts += rng.sample(question.wordings, 250) + [question.answer, question.thought + "\n"] * 8
    for _ in range(150):
        dialogue = weather_dialogue(rng)
        texts += [dialogue.prompt, dialogue.target()]
    texts += [CLOSING_SENTENCE, "\n\n", "user\n", "assistant\n", "system\n", *SYSTEMS] * 40
    texts += [" ".join(" abcdefghijklmnopqrstuvwxyz")] * 60
    return [piece for text in texts for piece in _without_control_tokens(text)]


def _without_control_tokens(text: str) -> list[str]:
    pieces = [text]
    for token in control_tokens.ALL:
        pieces = [part for piece in pieces for part in piece.split(token)]
    return [piece for piece in pieces if piece]


def train() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False),
        ]
    )
    tokenizer.post_processor = processors.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=BASE_VOCABULARY,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator(corpus(), trainer)
    tokenizer.add_special_tokens([AddedToken(t, normalized=False, special=True) for t in control_tokens.SPECIAL])
    tokenizer.add_tokens([AddedToken(t, normalized=False, special=False) for t in control_tokens.PLAIN])
    return tokenizer


def _tokenizer_config(tokenizer: Tokenizer) -> dict[str, object]:
    flags = {"lstrip": False, "normalized": False, "rstrip": False, "single_word": False}
    return {
        "add_bos_token": False,
        "add_prefix_space": False,
        "added_tokens_decoder": {
            str(tokenizer.token_to_id(token)): {"content": token, **flags, "special": token in control_tokens.SPECIAL}
            for token in control_tokens.ALL
        },
        "additional_special_tokens": list(control_tokens.SPECIAL[1:]),
        "bos_token": None,
        "chat_template": TEMPLATE.read_text(encoding="utf-8").rstrip("\n"),
        "clean_up_tokenization_spaces": False,
        "eos_token": control_tokens.END_OF_TURN,
        "errors": "replace",
        "model_max_length": 32768,
        "pad_token": control_tokens.END_OF_TEXT,
        "split_special_tokens": False,
        "tokenizer_class": "Qwen2Tokenizer",
        "unk_token": None,
    }


def _write_json(path: Path, value: object) -> None:
    path.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", encoding="utf-8")


def write(tokenizer: Tokenizer, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    layout = json.loads(tokenizer.to_str())
    saved = layout["model"]
    saved |= {"continuing_subword_prefix": "", "end_of_word_suffix": ""}
    layout["decoder"] = layout["post_processor"]
    _write_json(folder / "tokenizer.json", layout)
    vocabulary = json.dumps(saved["vocab"], ensure_ascii=False, indent=0)
    (folder / "vocab.json").write_text(vocabulary + "\n", encoding="utf-8")
    merges = "".join(f"{left} {right}\n" for left, right in saved["merges"])
    (folder / "merges.txt").write_text("#version: 0.2\n" + merges, encoding="utf-8")
    _write_json(folder / "tokenizer_config.json", _tokenizer_config(tokenizer))


if __name__ == "__main__":
    write(train(), Path(__file__).resolve().parents[2] / "models" / "demo")
