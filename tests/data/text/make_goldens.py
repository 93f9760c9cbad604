#!/usr/bin/env python3
"""Writes the files of this folder with the reference implementations (README.md). Deterministic; run it in this folder.

    pip install tokenizers==0.23.* jinja2 && ./make_goldens.py
"""

import json
import pathlib
import random

import jinja2.sandbox
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from tokenizers import AddedToken

HERE = pathlib.Path(__file__).resolve().parent
DEMO = HERE.parents[2] / "models" / "demo"

PATTERN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
SPECIAL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
ORDINARY = ["<tool_call>", "</tool_call>", "<tool_response>", "</tool_response>", "<think>", "</think>"]

CORPUS = """The user asks what the weather is like in the town; the assistant thinks about it and then answers the question.
I don't think that we'll need it, but they've said that they'd take the other one, and I'm sure it's theirs.
for (int i = 0; i < 10; ++i) { sum += values[i]; }    // the sum of the values
    return {"name": "get_weather", "arguments": {"city": "Paris"}};
你好，世界！今天的天气怎么样？这是一个测试。这是中文，这是一个问题。
Ünïcödé naïve café déjà vu Ångström; Привет, мир! Это тест. مرحبا بالعالم
123 456 7890 3.14159 2,718 ==== ---- .... !!!! ???? \t\t\n\n\n
aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa                                bbbbbbbb
"""

WORDS = ["hello", "the", " world", "don't", "I'LL", "we've", "中文", "тест", "مرحبا", "0123", "²", "½", "!!", "=>", "naïve", "🙂", "한국어"]
SPACES = "\t\n\v\f\r \x1c\x85\xa0\u1680\u180e\u2003\u200b\u2028\u202f\u3000\ufeff"
MARKS = "\u0301\u0316\u0338\u0345\u064b\u0651\u093c\u09be\u1161\u11a8\u3099\u20d0\U0001d165\U00010f4e"
COMPOSED = "éÅ\u212b\u2126\u0958\u0344\u1e9b\ufb1d\u2adc가각\uf900\U0002f800"


def tokenizer(added):
    result = Tokenizer(models.BPE())
    result.normalizer = normalizers.NFC()
    result.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PATTERN), "isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False),
        ]
    )
    result.post_processor = processors.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    result.decoder = decoders.ByteLevel(add_prefix_space=False, trim_offsets=False, use_regex=False)
    trainer = trainers.BpeTrainer(
        vocab_size=500, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False, min_frequency=1
    )
    result.train_from_iterator(CORPUS.splitlines(keepends=True) * 2, trainer)
    if added:
        result.add_special_tokens([AddedToken(t, special=True, normalized=False) for t in SPECIAL])
        result.add_tokens([AddedToken(t, special=False, normalized=False) for t in ORDINARY])
    return result


def random_text(rng):
    def part():
        kind = rng.randrange(10)
        if kind == 0:
            return "'" + "".join(rng.choice("'ſsStTrReEvVmMlLdDab") for _ in range(rng.randint(0, 4)))
        if kind == 1:
            return "".join(rng.choice(SPACES) for _ in range(rng.randint(1, 5)))
        if kind == 2:
            return rng.choice("aeoAuか<>=は") + "".join(rng.choice(MARKS) for _ in range(rng.randint(1, 4)))
        if kind == 3:
            return rng.choice(COMPOSED) + rng.choice(["", rng.choice(MARKS)])
        if kind == 4:
            return rng.choice(SPECIAL + ORDINARY)
        if kind == 5:
            token = rng.choice(SPECIAL + ORDINARY)
            return token[: rng.randint(0, len(token))]
        if kind == 6:
            return rng.choice(" \n\ra!0") * rng.randint(1, 60)
        if kind == 7:
            return "".join(chr(rng.randrange(128)) for _ in range(rng.randint(1, 8)))
        if kind == 8:
            code = rng.randrange(0x110000)
            return chr(code) if not 0xD800 <= code < 0xE000 else "?"
        return rng.choice(WORDS) + rng.choice(["", " "])

    return "".join(part() for _ in range(rng.randint(1, 12)))


def write_lines(name, objects):
    with open(HERE / name, "w", encoding="utf-8") as out:
        for item in objects:
            out.write(json.dumps(item) + "\n")


def write_tokenizer():
    reference, plain = tokenizer(True), tokenizer(False)
    (HERE / "tokenizer.json").write_text(reference.to_str(pretty=False) + "\n", encoding="utf-8")
    rng = random.Random(20250101)
    texts = ["", " ", "\n", "a", "'ſ", "'ſt", "don't DON'T", "  leading", "a\r\n\r\n b", "   \n\n   x", "cafe\u0301 café", "1234567"]
    texts += ["<think>\u0338x", "\U000105c9\u1c89", "aaaa" * 40, "user\n\n\nHi"] + [random_text(rng) for _ in range(400)]
    write_lines(
        "encode.jsonl",
        (
            {
                "text": text,
                "ids": reference.encode(text).ids,
                "ids_as_text": plain.encode(text).ids,
                "decoded": reference.decode(reference.encode(text).ids, skip_special_tokens=False),
                "decoded_skip_special": reference.decode(reference.encode(text).ids, skip_special_tokens=True),
            }
            for text in texts
        ),
    )


CONTENTS = ["", "hi", "\n", "\n\nx\n", "<think>\na\n</think>\n\nb", "</think>c", "x</think>y</think>\n\nz", "<think>p<think>q</think>"]
CONTENTS += ["<tool_response>\nf\n</tool_response>", "<tool_response>half", "é中😀\t\"\\", "<|im_end|>", "a\nb  "]


def random_value(rng, depth=0):
    kind = rng.randrange(9 if depth < 3 else 6)
    if kind == 0:
        return rng.choice([True, False, None])
    if kind == 1:
        return rng.randint(-(10 ** rng.randint(1, 25)), 10 ** rng.randint(1, 25))
    if kind == 2:
        return rng.choice([1.0, -0.0, 0.1, 1e22, 1.5e-7, 1e16, 9999999999999998.0, 0.0001, 0.00001, rng.random() * 10 ** rng.randint(-300, 300)])
    if kind < 6:
        return rng.choice(CONTENTS)
    if kind == 6:
        return [random_value(rng, depth + 1) for _ in range(rng.randint(0, 3))]
    return {key: random_value(rng, depth + 1) for key in rng.sample(["z", "a", "名", "k\n", "b"], rng.randint(0, 4))}


def random_call(rng):
    arguments = random_value(rng, 3) if rng.random() < 0.2 else {"p": random_value(rng, 1)}
    call = {"name": rng.choice(["f", "get_weather"]), "arguments": rng.choice([arguments, '{ "a" :1}'])}
    return call if rng.random() < 0.3 else {"type": "function", "function": call}


def random_message(rng):
    message = {"role": rng.choice(["system", "user", "user", "assistant", "assistant", "tool", "other"])}
    if rng.random() < 0.95:
        message["content"] = rng.choice(CONTENTS + [None, 5, ["x"]]) if message["role"] != "system" else rng.choice(CONTENTS)
    elif message["role"] == "system":
        message["content"] = "s"
    if message["role"] == "assistant":
        if rng.random() < 0.4:
            message["reasoning_content"] = rng.choice(CONTENTS + [None])
        if rng.random() < 0.3:
            message["tool_calls"] = [random_call(rng) for _ in range(rng.randint(0, 3))]
    return message


def write_renders():
    environment = jinja2.sandbox.ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["tojson"] = lambda value: json.dumps(value, ensure_ascii=False)
    template = environment.from_string(json.loads((DEMO / "tokenizer_config.json").read_text(encoding="utf-8"))["chat_template"])
    rng = random.Random(20250102)
    cases = []
    for _ in range(250):
        case = {
            "messages": [random_message(rng) for _ in range(rng.randint(1, 6))],
            "tools": [random_value(rng, 1) for _ in range(rng.randint(0, 2))] if rng.random() < 0.4 else None,
            "add_generation_prompt": rng.random() < 0.6,
        }
        cases.append(case | {"rendered": template.render(case)})
    write_lines("render.jsonl", cases)


write_tokenizer()
write_renders()
