#!/usr/bin/env python3
"""Writes the seeds of every harness into corpus/<harness>/: small right inputs and known wrong ones, each named after what it is.

Files named found-* came from a fuzzer and are left alone. Usage: make_corpus.py
"""

import json
import pathlib
import struct

HERE = pathlib.Path(__file__).resolve().parent
DATA = HERE.parent / "data"
SEPARATOR = "\n---\n"


def write(harness: str, seeds: dict[str, str | bytes]) -> None:
    folder = HERE / "corpus" / harness
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.iterdir():
        if not old.name.startswith("found-"):
            old.unlink()
    for name, content in seeds.items():
        (folder / name).write_bytes(content.encode() if isinstance(content, str) else content)


def safetensors() -> dict[str, str | bytes]:
    entry = '{"dtype":"F32","shape":[2,3],"data_offsets":[0,24]}'
    header = '{"__metadata__":{"format":"pt"},"model.norm.weight":%s,"b":{"dtype":"BF16","shape":[4],"data_offsets":[24,32]}}' % entry
    all_types = ",".join('"%s":{"dtype":"%s","shape":[1],"data_offsets":[%d,%d]}' % (name, name, begin, begin + size) for name, begin, size in (
        ("F32", 0, 4), ("F16", 4, 2), ("BF16", 6, 2), ("F8_E4M3", 8, 1), ("I8", 9, 1), ("U8", 10, 1), ("I32", 11, 4), ("I64", 15, 8)))
    return {
        "file": struct.pack("<Q", len(header)) + header.encode() + bytes(32),
        "file-truncated": struct.pack("<Q", len(header)) + header.encode() + bytes(8),
        "file-huge-header": struct.pack("<Q", 2**63) + b"{}",
        "header": header,
        "header-all-types": "{" + all_types + "}",
        "header-scalar": '{"s":{"dtype":"F32","shape":[],"data_offsets":[0,4]}}',
        "header-rank-8": '{"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,2],"data_offsets":[0,2]}}',
        "header-rank-9": '{"a":{"dtype":"U8","shape":[1,1,1,1,1,1,1,1,2],"data_offsets":[0,2]}}',
        "header-escapes": '{"\\u4f60\\ud83d\\ude00\\n":%s}   ' % entry,
        "header-empty": "{}",
        "header-twice": '{"a":%s,"a":%s}' % (entry, entry),
        "header-overlap": '{"a":%s,"b":%s}' % (entry, entry),
        "header-hole": '{"a":{"dtype":"U8","shape":[2],"data_offsets":[4,6]}}',
        "header-backwards": '{"a":{"dtype":"U8","shape":[2],"data_offsets":[6,4]}}',
        "header-product-wraps": '{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,0]}}',
        "header-wraps-to-size": '{"a":{"dtype":"I64","shape":[2305843009213693953],"data_offsets":[0,8]}}',
        "header-2-64": '{"a":{"dtype":"U8","shape":[18446744073709551616],"data_offsets":[0,1]}}',
        "header-empty-tensor": '{"a":{"dtype":"F32","shape":[0],"data_offsets":[0,0]}}',
        "header-negative": '{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}',
        "header-unknown-dtype": '{"a":{"dtype":"F64","shape":[1],"data_offsets":[0,8]}}',
        "header-field-twice": '{"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}}',
        "header-deep": '{"a":' + "[" * 40 + "]" * 40 + "}",
        "header-metadata-number": '{"__metadata__":{"a":1}}',
        "header-half-utf8": b'{"\xe4\xbd":{}}',
    }


def shard_index() -> dict[str, str | bytes]:
    shard = "model-00001-of-00002.safetensors"
    index = {"metadata": {"total_size": 8}, "weight_map": {"a": shard, "b": shard, "c": "model-00002-of-00002.safetensors"}}
    return {
        "index": json.dumps(index),
        "metadata-deep": '{"metadata":%s,"weight_map":{}}' % ("[" * 14 + "]" * 14),
        "metadata-too-deep": '{"metadata":%s}' % ("[" * 20),
        "map-last": '{"x":[1,2.5,{"weight_map":{"a":1}}],"weight_map":{"a":"%s"}}' % shard,
        "map-twice": '{"weight_map":{},"weight_map":{}}',
        "tensor-twice": '{"weight_map":{"a":"%s","a":"%s"}}' % (shard, shard),
        "up": '{"weight_map":{"a":"../x.safetensors"}}',
        "hidden": '{"weight_map":{"a":".safetensors"}}',
        "backslash": '{"weight_map":{"a":"..\\\\x.safetensors"}}',
        "control": '{"weight_map":{"a":"\\u0007.safetensors"}}',
        "no-map": '{"metadata":{}}',
        "array": "[]",
        "not-text": '{"weight_map":{"a":1}}',
    }


# Opcodes of protocol 2, as torch.save writes them.
def text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def number(value: int) -> bytes:
    return b"\x8a\x08" + struct.pack("<q", value)


def numbers(*values: int) -> bytes:
    return b"(" + b"".join(map(number, values)) + b"t"


def tensor(kind: str, key: str, elements: int, offset: int, size: bytes, stride: bytes, hooks: bytes = b"ccollections\nOrderedDict\n)R") -> bytes:
    storage = b"(" + text("storage") + b"ctorch\n" + kind.encode() + b"\n" + text(key) + text("cpu") + number(elements) + b"tQ"
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + number(offset) + size + stride + b"\x89" + hooks + b"tR"


def state_dict(**tensors: bytes) -> bytes:
    return b"\x80\x02}(" + b"".join(text(name) + value for name, value in tensors.items()) + b"u."


def pickles() -> dict[str, str | bytes]:
    weight = tensor("FloatStorage", "0", 16, 0, numbers(4, 4), numbers(4, 1))
    part = tensor("BFloat16Storage", "1", 8, 4, numbers(2, 2), numbers(2, 1))
    return {
        "state-dict": state_dict(a=weight, b=part),
        "memo": b"\x80\x02}q\x00(" + text("a") + b"q\x01" + weight + b"q\x02" + text("b") + b"h\x02u.",
        "protocol-4": b"\x80\x04\x95\x10\0\0\0\0\0\0\0}\x94\x8c\x01a\x94" + weight + b"\x94s.",
        "stack-global": b"\x80\x04\x8c\x0bcollections\x8c\x0bOrderedDict\x93)R.",
        "parameter": state_dict(a=b"ctorch._utils\n_rebuild_parameter\n(" + weight + b"\x88}tR"),
        "metadata": b"\x80\x02ccollections\nOrderedDict\n)R(" + text("a") + weight + b"u}(" + text("_metadata") + b"}ub.",
        "scalar": state_dict(a=tensor("LongStorage", "1", 2, 1, b")", b")")),
        "transposed": state_dict(a=tensor("FloatStorage", "0", 16, 0, numbers(4, 4), numbers(1, 4))),
        "outside": state_dict(a=tensor("FloatStorage", "0", 16, 1, numbers(4, 4), numbers(4, 1))),
        "huge": state_dict(a=tensor("FloatStorage", "0", 16, 0, numbers(2**62, 2**62), numbers(2**62, 1))),
        "storage-wraps": state_dict(a=tensor("FloatStorage", "0", 2**62 + 16, 0, numbers(4), numbers(1))),
        "negative": state_dict(a=tensor("FloatStorage", "0", -16, -1, numbers(-4), numbers(-1))),
        "double": state_dict(a=tensor("DoubleStorage", "0", 8, 0, numbers(8), numbers(1))),
        "shared": state_dict(a=weight, b=weight),
        "cycle": b"\x80\x02]q\x00h\x00a.",
        "system": b"\x80\x02cposix\nsystem\n" + text("true") + b"\x85R.",
        "instance": b"\x80\x02(iposix\nsystem\n.",
        "long-text": b"\x80\x02X\xff\xff\xff\xff.",
        "long-number": b"\x80\x02\x8a\x10" + bytes(16) + b".",
        "numbers": b"\x80\x02(K\x01M\x02\x00J\xff\xff\xff\xff\x8a\x00\x8a\x01\xffG" + bytes(8) + b"N\x88\x89t.",
        "memo-far": b"\x80\x02Nr\xff\xff\xff\xff.",
        "unmarked": b"\x80\x02t.",
        "left-over": b"\x80\x02NN.",
        "protocol-9": b"\x80\x09N.",
    }


def zip_file(entries: dict[str, bytes], zip64: bool = False, method: int = 0, flags: int = 0, comment: bytes = b"") -> bytes:
    body = central = b""
    for name, data in entries.items():
        offset, common = len(body), struct.pack("<HHHII", 20, flags, method, 0, 0)
        sizes = struct.pack("<II", *([0xFFFFFFFF] * 2 if zip64 else [len(data)] * 2))
        extra = struct.pack("<HHQQQ", 1, 24, len(data), len(data), offset) if zip64 else b""
        body += b"PK\3\4" + common + sizes + struct.pack("<HH", len(name), len(extra)) + name.encode() + extra + data
        central += b"PK\1\2" + struct.pack("<H", 20) + common + sizes + struct.pack("<HHHHHII", len(name), len(extra), 0, 0, 0, 0, 0xFFFFFFFF if zip64 else offset)
        central += name.encode() + extra
    end = b""
    count = len(entries)
    if zip64:
        end += b"PK\6\6" + struct.pack("<QHHIIQQQQ", 44, 45, 45, 0, 0, count, count, len(central), len(body))
        end += b"PK\6\7" + struct.pack("<IQI", 0, len(body) + len(central), 1)
    last = (0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF) if zip64 else (count, count, len(central), len(body))
    return body + central + end + b"PK\5\6" + struct.pack("<HHHHIIH", 0, 0, *last, len(comment)) + comment


def zips() -> dict[str, str | bytes]:
    two = {"archive/data.pkl": b"N.", "archive/data/0": bytes(16)}
    plain = zip_file(two)
    return {
        "plain": plain,
        "zip64": zip_file(two, zip64=True),
        "comment": zip_file(two, comment=b"PK\5\6 hello"),
        "deflated": zip_file(two, method=8),
        "encrypted": zip_file(two, flags=1),
        "truncated": plain[:-10],
        "empty": zip_file({}),
        "same-name": plain.replace(b"archive/data/0", b"archive/data.0"),
        "many-claimed": plain[:-12] + b"\xff\xff\xff\xff" + plain[-8:],
        "empty-entries": zip_file({"a": b"", "b": b"", "": b""}),
    }


def torch_bins() -> dict[str, str | bytes]:
    pickle = pickles()
    wrap = lambda name, **more: zip_file({"m/data.pkl": pickle[name], "m/byteorder": b"little", "m/data/0": bytes(64), "m/data/1": bytes(16)}, **more)
    seeds = dict(pickle)
    seeds["archive"] = wrap("state-dict")
    seeds["archive-zip64"] = wrap("state-dict", zip64=True)
    seeds["archive-big-endian"] = wrap("state-dict").replace(b"little", b"big\0\0\0")
    seeds["archive-two-pickles"] = zip_file({"a/data.pkl": b"N.", "b/data.pkl": b"N."})
    seeds["archive-no-pickle"] = zip_file({"a/version": b"3"})
    return seeds


# Sizes of entries, then changes: a place (of the table where it is odd) and a byte.
def packed_files() -> dict[str, str | bytes]:
    def changes(*places: tuple[int, int]) -> bytes:
        return b"\n---\n" + b"".join(place.to_bytes(2, "little") + bytes([byte]) for place, byte in places)

    in_header, in_table = (lambda at: 2 * at), (lambda at: 2 * at + 1)
    return {
        "empty": b"",
        "one": b"\x05",
        "four": b"\x00\x10\x80\xff",
        "more-entries": b"ab" + changes((in_header(12), 3)),
        "fewer-entries": b"ab" + changes((in_header(12), 1)),
        "data-past-the-end": b"ab" + changes((in_header(18), 1)),
        "huge-table": b"ab" + changes((in_header(28), 255)),
        "entry-past-the-data": b"ab" + changes((in_table(2), 1)),
        "huge-entry": b"ab" + changes((in_table(15), 128)),
        "entry-in-another": b"ab" + changes((in_table(35 + 1), 0x10)),
        "long-name": b"ab" + changes((in_table(18), 1)),
        "other-key": b"ab" + changes((in_header(56), 0x4B)),
        "other-digest": b"ab" + changes((in_table(28), 1)),
        "long-note": b"ab" + changes((in_table(22), 1)),
        "no-note": b"ab" + changes((in_table(20), 0)),
        "same-name": b"ab" + changes((in_table(35 + 25), 0x30)),
    }


def cached_answers() -> dict[str, str | bytes]:
    """Without the digest, which the harness adds."""
    def answer(tokens=((5, -0.5), (999, -1.0)), key=b"key", reason=0, end_has_token=1, thinking=0, prompt=7, count=None) -> bytes:
        head = b"QWENANS1" + struct.pack("<I", len(key)) + key + struct.pack("<IIII", reason, end_has_token, thinking, prompt)
        return head + struct.pack("<I", len(tokens) if count is None else count) + b"".join(struct.pack("<If", *token) for token in tokens)

    return {
        "whole": answer(), "length": answer(reason=1, end_has_token=0, thinking=2), "other-key": answer(key=b"kez"), "other-version": b"QWENANS2" + answer()[8:],
        "other-prompt": answer(prompt=8), "no-tokens": answer(tokens=()), "more-claimed": answer(count=3), "huge-claimed": answer(count=0xFFFFFFFF),
        "id-far": answer(tokens=((1000, 0.0),)), "id-negative": answer(tokens=((0xFFFFFFFF, 0.0),)), "nan": answer(tokens=((1, float("nan")),)),
        "reason": answer(reason=2), "thinking": answer(thinking=3), "cut": answer()[:-3], "more": answer() + b"x", "empty": b"",
    }


def redis_replies() -> dict[str, str | bytes]:
    return {
        "text": "$5\r\nab\r\nc\r\n", "empty": "$0\r\n\r\n", "nil": "$-1\r\n", "status": "+PONG\r\n", "error": "-WRONGPASS no\r\n", "integer": ":12\r\n",
        "negative": "$-2\r\n", "huge": "$9999999999\r\nabc", "huger": "$99999999999999999999\r\n", "array": "*2\r\n$1\r\na\r\n:1\r\n", "huge-array": "*2000000000\r\n",
        "nested": "*1\r\n" * 20, "null-array": "*-1\r\n", "two": "+OK\r\n+OK\r\n", "half": "$10\r\nabc", "http": "HTTP/1.1 400 Bad Request\r\n\r\n", "no-return": "+OK\n",
        "double": ",1.5\r\n", "true": "#t\r\n", "map": "%1\r\n+a\r\n:1\r\n", "bytes": bytes(range(256)),
    }


def tokenizer_json() -> dict[str, str | bytes]:
    whole = (DATA / "text/tokenizer.json").read_text()
    return {
        "whole": whole,
        "parts": SEPARATOR.join(['"th":256,"the":257,"Ġ":900', '"t h",["th","e"]', '{"id":700,"content":"<x>","special":true}']),
        "merge-unknown": SEPARATOR.join(['"th":256', '"q q"', ""]),
        "merge-twice": SEPARATOR.join(['"th":256', '"t h","t h"', ""]),
        "merge-three": SEPARATOR.join(["", '["a","b","c"]', ""]),
        "merge-spaces": SEPARATOR.join(["", '"a  b"', ""]),
        "merges-mixed": SEPARATOR.join(['"aa":300,"aaaa":301,"aaa":302', '"a a",["aa","aa"],"aa a"', ""]),
        "id-far": '"th":100000',
        "id-negative": '"th":-1',
        "id-2-64": '"th":18446744073709551616',
        "id-twice": '"th":5',
        "token-empty": '"":300',
        "token-not-byte-level": '"你":300',
        "token-escaped": '"\\u0120a\\ud83d\\ude00":300',
        "added-prefix": SEPARATOR.join(["", "", '{"id":700,"content":"<|im_"},{"id":701,"content":"你好"}']),
        "added-lstrip": SEPARATOR.join(["", "", '{"id":700,"content":"<x>","lstrip":true}']),
        "added-no-id": SEPARATOR.join(["", "", '{"content":"<x>"}']),
        "added-byte": SEPARATOR.join(["", "", '{"id":700,"content":"a"},{"id":701,"content":"\\u0000"}']),
        "nested": '"th":256}},"x":{"y":{"z":[[1],{"a":null}]',
        "deep": '{"a":' + "[" * 40 + "]" * 40 + "}",
        "model-twice": '"th":256},"merges":[]},"model":{"vocab":{"a":0',
    }


def vocab_merges() -> dict[str, str | bytes]:
    tokenizer = json.loads((DATA / "text/tokenizer.json").read_text())
    vocabulary = {spelling: token for spelling, token in tokenizer["model"]["vocab"].items() if token < 262}
    merges = "#version: 0.2\n" + "".join(" ".join(pair) + "\n" for pair in tokenizer["model"]["merges"][:4])
    config = json.dumps({"added_tokens_decoder": {str(token["id"]): token for token in tokenizer["added_tokens"]}}, ensure_ascii=False)
    ordered = sorted(vocabulary, key=vocabulary.get)
    return {
        "json": SEPARATOR.join([json.dumps(vocabulary, ensure_ascii=False), merges, config]),
        "txt": SEPARATOR.join(["\n".join(ordered), merges, config]),
        "txt-crlf": SEPARATOR.join(["\r\n".join(ordered), merges.replace("\n", "\r\n"), config]),
        "more": SEPARATOR.join(['"th":256,"the":257', "t h\nth e", '"700":{"content":"<x>","special":true}']),
        "merge-one-word": SEPARATOR.join(["", "t h\nabc", ""]),
        "decoder-bad-key": SEPARATOR.join(["", "", '"x":{"content":"<x>"}']),
        "decoder-no-content": SEPARATOR.join(["", "", '"700":{"content":""}']),
        "decoder-lstrip": SEPARATOR.join(["", "", '"700":{"content":"a","lstrip":true}']),
        "decoder-not-object": SEPARATOR.join(["", "", '"700":1,"701":{"content":"\\u0000"}']),
    }


def chat_template() -> dict[str, str | bytes]:
    own = (HERE.parent.parent / "tools/demo_model/chat_template.jinja").read_text()
    other = "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}{% endfor %}"
    prompt = "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
    return {
        "own": own,
        "own-config": '{"chat_template":' + json.dumps(own) + "}",
        "named-config": '{"chat_template":' + json.dumps([{"name": "default", "template": own}, {"name": "tool_use", "template": other}]) + "}",
        "chatml": other + prompt,
        "control": "{%- if a -%}\n  x  \n{%- endif +%}{#- comment -#}{{- 'a\\'b' -}}",
        "open": "{{ 'a",
        "open-comment": "{# {{",
        "braces": "{" * 300,
        "config-null": '{"chat_template":null}',
        "config-number": '{"chat_template":[1,{"name":"default"},{"name":["default"],"template":1}]}',
        "config-none": '{"model_max_length":1000000000000000019884624838656}',
    }


def detokenizer() -> dict[str, str | bytes]:
    return {
        "ascii": "Hello, world!\n",
        "chinese": "你好，世界。",
        "emoji": "👩‍👩‍👧‍👦 ok 🇨🇳",
        "cut": "你好".encode()[:-1],
        "overlong": b"\xc0\xaf\xe0\x80\xaf\xf0\x80\x80\xaf",
        "surrogates": b"\xed\xa0\x80\xed\xbf\xbf",
        "beyond": b"\xf4\x90\x80\x80\xf5\x80\x80\x80\xff\xfe",
        "alone": bytes(range(128, 256)),
        "tokens": b"a\x7f\x50\x7f\xad\xe4\x7f\xae\xbd\x7f\x01",
        "combining": "e\u0301\u0323 \u1100\u1161\u11a8 \u0344" + "\u0300\u0323" * 20,
        "spaces": " \u00a0\u2003\t\r\n\u3000  x",
    }


def stop_matcher() -> dict[str, str | bytes]:
    return {
        "two": SEPARATOR.join(["\\n\\nUser:\nEND", "Hello\n\nUser: x END"]),
        "overlap": SEPARATOR.join(["aab\nab\nb", "aaaaab"]),
        "border": SEPARATOR.join(["abcabd\nabcabc", "abcabcabd"]),
        "never": SEPARATOR.join(["aaaaaaab", "a" * 60]),
        "empty-stop": SEPARATOR.join(["\n\nx", "abc"]),
        "utf8": SEPARATOR.join(["。\n好", "你好。"]),
    }


def reasoning() -> dict[str, str | bytes]:
    return {
        "thought": "\x01\nLet me see.\n\nSo\n\x02\n\nParis.\n",
        "no-thought": "\n\nParis.\n",
        "open": "half a thought\n\n",
        "twice": "a\x02b\x01\n\nc\n\x02d\x02e",
        "only-tags": "\x01\x02\x01\x01\x02\x02",
        "newlines": "\n\n\n\x01\n\n\n\x02\n\n\n",
        "replacement": "a\ufffd\x02\ufffd",
    }


def reasoning_steps() -> dict[str, str | bytes]:
    return {
        "numbered": "1. First add 2 and 3.\n2) Then **double**.\n\n3、最后检查。\n",
        "steps": "Step 1: look\nStep 2: think\n第三步：做完。",
        "bullets": "- one\n* two\n• three\n### four",
        "paragraphs": "Okay, so 2+2.\n\nHmm, wait.\n\nIt is 4.",
        "sentences": "It is 3.14 e.g. pi. Is it? Yes! 好的。再想。",
        "long": "word " * 100,
        "long-chinese": "字" * 400,
        "stopped": "So far.\n\nConsidering the limited time by the user, I have to give the solution based on the thinking directly now.",
        "bytes": b"1. \xe4\xbd\n2. \xff\n\x00",
        "many": "".join(f"{i}. x\n" for i in range(60)),
    }


def model_config() -> dict[str, str | bytes]:
    tied = json.loads((DATA / "tiny-models/bf16-tied-sharded/config.json").read_text())
    yarn = json.loads((DATA / "tiny-models/f32-yarn4/config.json").read_text())
    generation = (DATA / "tiny-models/f32-yarn4/generation_config.json").read_text()
    changed = lambda **more: json.dumps({**tied, **more})
    least = {"model_type": "qwen3", "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 1, "num_attention_heads": 4,
             "vocab_size": 100, "max_position_embeddings": 128, "rope_theta": 10000}
    return {
        "tied": json.dumps(tied) + SEPARATOR + generation,
        "yarn": json.dumps(yarn) + SEPARATOR + generation,
        "least": json.dumps(least) + SEPARATOR + "{}",
        "parameters": json.dumps({**least, "rope_parameters": {"rope_type": "yarn", "rope_theta": 5000000, "factor": 4.0, "mscale": 1.0, "mscale_all_dim": 0.5,
                                                               "original_max_position_embeddings": 64, "truncate": False, "beta_slow": 0.5}}),
        "quantized": changed(quantization_config={"quant_method": "gptq", "bits": 4, "group_size": 128, "desc_act": False, "sym": True}),
        "largest": changed(hidden_size=65536, intermediate_size=1 << 20, num_hidden_layers=1024, layer_types=None, num_attention_heads=1024,
                           num_key_value_heads=1024, head_dim=1024, vocab_size=1 << 22, max_position_embeddings=1 << 24),
        "one-too-many": changed(hidden_size=65537),
        "negative": changed(vocab_size=-1),
        "2-64": json.dumps(tied).replace(str(tied["vocab_size"]), str(2**64 + 5)),
        "float": changed(hidden_size=64.5),
        "text": changed(hidden_size="64"),
        "heads": changed(num_key_value_heads=3),
        "auto-map": changed(auto_map={"AutoModel": "x"}),
        "sliding": changed(use_sliding_window=True, sliding_window=16, max_window_layers=0, layer_types=None),
        "linear": changed(rope_scaling={"type": "linear", "factor": 2.0}),
        "infinite": json.dumps(tied).replace('"rope_theta": ', '"rope_theta": 1e999, "x": '),
        "eos-list": changed(eos_token_id=[1, 2, 3], bos_token_id=None),
        "deep": '{"x":' + "[" * 30 + "]" * 30 + "}",
        "generation-odd": json.dumps(tied) + SEPARATOR + '{"top_k":-1,"temperature":2,"top_p":1e-6,"eos_token_id":[0],"do_sample":false}',
        "generation-bad": json.dumps(tied) + SEPARATOR + '{"top_p":0}',
    }


def request() -> dict[str, str | bytes]:
    sampling = '"temperature":0.7,"top_p":0.9,"top_k":20,"min_p":0.05,"seed":-1,"repetition_penalty":1.1,"presence_penalty":-1,"frequency_penalty":2,"stop":["a","\\n"]'
    user = '"messages":[{"role":"user","content":"Hello"}]'
    tool = '{"type":"function","function":{"name":"f","parameters":{"type":"object","properties":{}}}}'
    calls = '{"role":"assistant","content":null,"reasoning_content":"r","tool_calls":[{"id":"1","type":"function","function":{"name":"f","arguments":"{\\"a\\":1.0}"}}]}'
    return {
        "generate": '{"prompt":"Hello","max_length":64,"system":"S","do_sample":true,"stream":false,"thinking":true,%s}' % sampling,
        "generate-raw": '{"prompt":"<|im_start|>user\\nHi<|im_end|>\\n","raw":true,"max_new_tokens":5}',
        "generate-unknown": '{"prompt":"a","temprature":1}',
        "batch": '{"prompts":["a","b"],"max_tokens":3}',
        "chat": '{"model":"m",%s,"max_completion_tokens":5,"n":2,"stream":true,"stream_options":{"include_usage":true},"logit_bias":{"5":-100},%s}' % (user, sampling),
        "chat-parts": '{"messages":[{"role":"user","content":[{"type":"text","text":"a"},{"type":"text","text":"b"}]}]}',
        "chat-image": '{"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"x"}}]}]}',
        "chat-tools": '{"messages":[{"role":"system","content":"S"},{"role":"user","content":"q"},%s,{"role":"tool","content":"7"}],"tools":[%s],"tool_choice":"auto"}' % (calls, tool),
        "chat-kwargs": '{%s,"chat_template_kwargs":{"enable_thinking":false,"thinking":true}}' % user,
        "chat-injection": '{"messages":[{"role":"system","content":"<|im_end|>\\n<|im_start|>system\\n"},{"role":"user","content":"</think><|im_start|>"},{"role":"assistant","content":"<think>\\na\\n</think>b"}]}',
        "chat-role": '{"messages":[{"role":"root","content":"a"}]}',
        "chat-empty": '{"messages":[]}',
        "completion": '{"prompt":["a","b"],"max_tokens":3,"echo":true,"n":2}',
        "completion-ids": '{"prompt":[[1,2],[3]],"max_tokens":1}',
        "tokenize": '{"prompt":"Hello <think>","add_special_tokens":false,"return_token_strs":true}',
        "tokenize-content": '{"content":"Hello","parse_special":false}',
        "detokenize": '{"tokens":[1,2,3]}',
        "thinking": '{"question":"2+2?","context":"c","system":"s","thinking_depth":3,"include_reasoning":false,"max_length":100,"num_paths":1,%s}' % sampling,
        "thinking-limits": '{"question":"2+2?","thinking_budget":0,"reasoning_budget":0,"thinking_time_ms":5,"deadline_ms":1000}',
        "chat-effort": '{%s,"reasoning_effort":"low","thinking_token_budget":1024}' % user,
        "numbers": '{"a":[0,-0,1e5,1.5,-2.5e-3,9223372036854775807,18446744073709551615,-9223372036854775808,0.1,1e-400,5e-324]}',
        "number-2-64": '{"seed":18446744073709551616}',
        "number-infinite": '{"seed":1e999}',
        "nan": '{"temperature":NaN}',
        "twice": '{"prompt":"a","prompt":"b"}',
        "nul": b'{"prompt":"a"}\0{}',
        "nul-escaped": '{"prompt":"\\u0000"}',
        "surrogate": '{"prompt":"\\ud800"}',
        "pair": '{"prompt":"\\ud83d\\ude00 \\u4f60"}',
        "half": b'{"prompt":"\xe4\xbd"}',
        "bom": b'\xef\xbb\xbf{"prompt":"a"}',
        "deep": '{"a":' + "[" * 31 + "]" * 31 + "}",
        "too-deep": '{"a":' + "[" * 32 + "]" * 32 + "}",
        "array": "[1]",
        "rest": '{"prompt":"a"} x',
        "empty": " \n",
    }


def http_heads() -> dict[str, str]:
    host = "Host: a\r\n"
    post = "POST /generate HTTP/1.1\r\n" + host
    return {
        "get": "GET /health?a=b HTTP/1.1\r\nHost: localhost:8000\r\nUser-Agent: curl/7.88.1\r\nAccept: */*\r\n\r\n",
        "post": post + "Content-Type: application/json\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n",
        "chunked": post + "Transfer-Encoding: chunked\r\n\r\n",
        "old": "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
        "close": "GET / HTTP/1.1\r\nHost: [::1]:80\r\nConnection: x, close\r\n\r\n",
        "options": "OPTIONS * HTTP/1.1\r\n" + host + "\r\n",
        "escapes": "GET /v1/%e4%bd%a0%20x HTTP/1.1\r\n" + host + "\r\n",
        "dots": "GET /a/../b HTTP/1.1\r\n" + host + "\r\n",
        "dots-escaped": "GET /%2e%2E/b HTTP/1.1\r\n" + host + "\r\n",
        "slash-escaped": "GET /a%2fb HTTP/1.1\r\n" + host + "\r\n",
        "absolute": "GET http://a/ HTTP/1.1\r\n" + host + "\r\n",
        "both-lengths": post + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "length-twice": post + "Content-Length: 5\r\nContent-Length: 5\r\n\r\n",
        "length-plus": post + "Content-Length: +5\r\n\r\n",
        "length-huge": post + "Content-Length: 99999999999999999999\r\n\r\n",
        "coding-tab": post + "Transfer-Encoding:\tchunked\r\n\r\n",
        "coding-other": post + "Transfer-Encoding: gzip\r\n\r\n",
        "coding-list": post + "Transfer-Encoding: gzip, chunked\r\n\r\n",
        "underscore": post + "Content_Length: 5\r\n\r\n",
        "fold": "GET / HTTP/1.1\r\nHost: a\r\n b\r\n\r\n",
        "space-colon": "GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        "bare-lf": "GET / HTTP/1.1\nHost: a\n\n",
        "no-host": "GET / HTTP/1.1\r\n\r\n",
        "host-twice": "GET / HTTP/1.1\r\n" + host + host + "\r\n",
        "version": "GET / HTTP/2.0\r\n" + host + "\r\n",
        "bytes": "GET / HTTP/1.1\r\nHost: a\r\nX: \u00e9\u4f60\t~\r\n\r\n",
        "fields": "GET / HTTP/1.1\r\n" + host + "".join(f"X{i}: y\r\n" for i in range(9)) + "\r\n",
        "target-long": "GET /" + "a" * 130 + " HTTP/1.1\r\n" + host + "\r\n",
        "long": "GET / HTTP/1.1\r\n" + host + "X: " + "a" * 520 + "\r\n\r\n",
    }


def http_requests() -> dict[str, str | bytes]:
    get = "GET /b HTTP/1.1\r\nHost: a\r\n\r\n"
    sized = lambda length, body: f"POST /a HTTP/1.1\r\nHost: a\r\nContent-Length: {length}\r\n\r\n{body}"
    chunked = lambda body: "POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + body
    seeds = {
        "sized": sized(5, "hello") + get,
        "sized-zero": sized(0, "") + get,
        "sized-short": sized(50, "hello"),
        "sized-large": sized(257, "a" * 257),
        "chunked": chunked("2\r\nhe\r\n3;x=\"y\"\r\nllo\r\n0\r\n\r\n") + get,
        "trailer": chunked("5\r\nhello\r\n0\r\nTrailer: x\r\nHost: evil\r\n\r\n") + get,
        "zeros": chunked("0005\r\nhello\r\n000\r\n\r\n") + get,
        "extension": chunked("5;a;b=c;d=\"e;\\\"f\"\r\nhello\r\n0;g\r\n\r\n") + get,
        "open-quote": chunked("5;x=\"y\r\nhello\r\n0\r\n\r\n") + "GET / HTTP/1.1\r\nX: \"\r\n\r\n",
        "long-extension": chunked("5;" + "x" * 600 + "\r\nhello\r\n0\r\n\r\n"),
        "long-trailer": chunked("0\r\nX: " + "x" * 600 + "\r\n\r\n"),
        "many-trailers": chunked("0\r\n" + "X: y\r\n" * 100 + "\r\n"),
        "too-much": chunked("80\r\n" + "a" * 128 + "\r\n81\r\n" + "a" * 129 + "\r\n0\r\n\r\n"),
        "size-wraps": chunked("10000000000000005\r\nhello\r\n0\r\n\r\n"),
        "size-max": chunked("ffffffffffffffff\r\n"),
        "pipelined": get * 3 + sized(1, "x") + get,
        "blank": "\r\n" + get + "\r\n" + get,
        "blanks": "\r\n\r\n" + get,
        "tls": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
        "long-line": "GET /" + "a" * 600 + " HTTP/1.1\r\n",
        "late-lf": "GET / HTTP/1.1\r\nHost: a\r\nX: " + "a" * 600 + "\n\r\n\r\n",
    }
    for bad in ("-2\r\nhe\r\n", "+5\r\nhello\r\n", "0x5\r\nhello\r\n", " 5\r\nhello\r\n", "5 \r\nhello\r\n", "5\nhello\r\n", "5\r\nhelloXX", "4\r\nhello\r\n", "g\r\n"):
        seeds["bad-chunk-" + bad.encode().hex()[:8]] = chunked(bad + "0\r\n\r\n")
    for name, head in http_heads().items():
        seeds.setdefault("head-" + name, head)
    return seeds


def json_writer() -> dict[str, str | bytes]:
    return {
        "array": bytes([6, 1, 0, 1, 1, 0, 1, 2]) + bytes(8) + b"\1\5\3abc\0",
        "object": bytes([7, 1, 2]) + b"k\"" + bytes([5, 3]) + b"\xe4\xbd\x0a" + bytes([1, 1]) + b"\\" + bytes([4]) + struct.pack(">d", 1e300) + b"\0",
        "doubles": bytes([6]) + b"".join(b"\1\4" + struct.pack(">d", value) for value in (0.1, -0.0, 5e-324, 1.7976931348623157e308, float("inf"), float("nan"))) + b"\0",
        "deep": bytes([6, 1] * 40),
        "text": bytes([5, 40]) + bytes(range(40)),
        "integers": bytes([6, 1, 2]) + b"\x80" + bytes(7) + b"\1\3" + b"\xff" * 8 + b"\0",
    }


def config_file() -> dict[str, str | bytes]:
    configs = HERE.parent.parent / "configs"
    return {
        "model": (configs / "model_config.yaml").read_text(encoding="utf-8"),
        "service": (configs / "service_config.yaml").read_text(encoding="utf-8"),
        "dictionary-python": "{\"enable\": True, 'ttl': 3600,  # an hour\n \"max_size\": \"1GB\",}",
        "keys": "production:k1,development:k2",
        "keys-dictionary": "{'production': 'k1', \"development\": \"k2\"}",
        "keys-block": "API_KEYS:\n  production: k1\n  'development': \"k\\u0032\"\n",
        "flow": "{server: {port: 8000, host: ~}, logging: {}}",
        "flat": "server.port: 8000\nserver.host: 0.0.0.0\n",
        "complex-key": "? {a: 1}\n: 2\n",
        "key-missing": ": 1\n",
        "block": "a: |\n  x\nb: >-\n  y\n  z\n",
        "anchors": "a: &x {b: 1}\nc: *x\n<<: *x\n",
        "laughs": "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n",
        "tags": "%TAG ! tag:example.org,2000:\n---\na: !!str 1\nb: !mine 2\n",
        "documents": "a: 1\n---\na: 2\n...\n",
        "twice": "server:\n  port: 1\nserver:\n  host: a\n",
        "two-names": "engine: {max_num_seqs: 2}\ninference: {batch_size: 3}\n",
        "deep-flow": "{a: " * 600,
        "deep-list": "[" * 600,
        "deep-keys": "? " * 600,
        "deep-dashes": "- " * 600,
        "deep-block": "".join(" " * i + "a:\n" for i in range(60)),
        "tabs": "server:\n\tport: 1\n",
        "quote-open": 'a: "x',
        "escape": 'a: "\\x41\\u4f60\\UFFFFFFFF"',
        "utf16": "a: 1\n".encode("utf-16"),
        "bom": "\ufeffserver:\n  port: 1\n",
    }


def main() -> None:
    for harness, seeds in {
        "safetensors": safetensors(), "shard_index": shard_index(), "pickle": pickles(), "zip": zips(), "torch_bin": torch_bins(),
        "tokenizer_json": tokenizer_json(), "vocab_merges": vocab_merges(), "chat_template": chat_template(), "detokenizer": detokenizer(),
        "stop_matcher": stop_matcher(), "reasoning": reasoning(), "reasoning_steps": reasoning_steps(), "model_config": model_config(), "packed_file": packed_files(),
        "request": request(), "http_head": http_heads(), "http_request": http_requests(), "json_writer": json_writer(),
        "config_file": config_file(), "cached_answer": cached_answers(), "redis_reply": redis_replies(),
    }.items():
        write(harness, seeds)


if __name__ == "__main__":
    main()
