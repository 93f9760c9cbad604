"""`quantize`: folders in every format that serve as they are, the GPTQ packing read by a reader of its own, and what is refused."""

import array
import json
import hashlib
import pathlib
import shutil
import signal
import struct
import subprocess
import tempfile
import time
import unittest

import harness

IDS = "2008,5,100,300,44,1999,1024,7,650,12,13"
QUESTION = {"prompt": "什么是AES加密算法？", "max_length": 24, "do_sample": False}


def read_safetensors(path):
    """name → (dtype, shape, bytes)"""
    data = path.read_bytes()
    size, = struct.unpack("<Q", data[:8])
    header = json.loads(data[8:8 + size])
    return {name: (entry["dtype"], entry["shape"], data[8 + size + entry["data_offsets"][0]:8 + size + entry["data_offsets"][1]])
            for name, entry in header.items() if name != "__metadata__"}


def write_safetensors(path, tensors):
    header, data = {}, b""
    for name, (dtype, shape, raw) in tensors.items():
        header[name] = {"dtype": dtype, "shape": shape, "data_offsets": [len(data), len(data) + len(raw)]}
        data += raw
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data)


def dequantize_gptq(tensors, module, bits, offset):
    """The definition of the format: w[out][in] = scale · (q - (zero + offset)), as f32 [out, in]; v1 has the offset 1, v2 none."""
    fields, mask = 32 // bits, 2**bits - 1
    (inputs, outputs), words = tensors[module + ".qweight"][1], array.array("I", tensors[module + ".qweight"][2])
    inputs *= fields
    zeros, g_idx = array.array("I", tensors[module + ".qzeros"][2]), array.array("i", tensors[module + ".g_idx"][2])
    scales = struct.unpack(f"<{len(tensors[module + '.scales'][2]) // 2}e", tensors[module + ".scales"][2])
    weights = array.array("f", bytes(4 * inputs * outputs))
    for i in range(inputs):
        group, shift = g_idx[i], i % fields * bits
        for o in range(outputs):
            zero = (zeros[(group * outputs + o) // fields] >> (o % fields * bits)) + offset & mask
            weights[o * inputs + i] = scales[group * outputs + o] * ((words[i // fields * outputs + o] >> shift & mask) - zero)
    return "F32", [outputs, inputs], weights.tobytes()


class Quantize(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.model = harness.needs_demo()

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.out = pathlib.Path(folder.name) / "out"

    def quantize(self, *flags, model=None):
        result = harness.run("quantize", "--model", model or self.model, "--output", self.out, *flags)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def logits(self, model, *flags):
        result = harness.run("logits", "--model", model, "--ids", IDS, "--all", *(flags if "--cache-dir" in flags else ["--cache-dir", "none", *flags]))
        self.assertEqual(result.returncode, 0, result.stderr)
        return json.loads(result.stdout)["logits"]

    def test_integer_folders_compute_what_loading_computes(self):
        for name in ("int8", "int4", "int4-g64"):
            for head in ("auto", "none"):
                said = self.quantize("--format", name, "--head-format", head, "--force")
                self.assertIn("of weights, before 5.5 MiB", said)
                for kernels in ("auto", "reference"):
                    self.assertEqual(self.logits(self.out, "--kernels", kernels),
                                     self.logits(self.model, "--quantization", name, "--head-format", head, "--kernels", kernels))
        copied = {path.name for path in self.model.iterdir()} - {"config.json", "model.safetensors"}
        for name in copied:
            self.assertEqual((self.out / name).read_bytes(), (self.model / name).read_bytes(), name)

    def test_an_integer_folder_serves_as_it_is(self):
        self.quantize("--format", "int4")
        answers = []
        for folder, flags in ((self.out, []), (self.model, ["--quantization", "int4"])):
            with harness.Service(folder, *flags, "--cache-dir", "none") as service:
                info = service.get("/model_info").json()
                self.assertEqual((info["quantization"], info["head_format"]), ("int4", "int8"))
                answers.append(service.post("/generate", QUESTION).json()["generated_text"])
        self.assertEqual(*answers)
        inspected = json.loads(harness.run("inspect", "--model", self.out, "--json").stdout)
        self.assertEqual(inspected["config"]["quantization"], "int4")
        plain = json.loads(harness.run("inspect", "--model", self.model, "--json").stdout)
        needed = [[entry["weight_bytes"] for entry in memory if (entry["format"], entry["head_format"]) == wanted][0]
                  for memory, wanted in ((inspected["memory"], ("none", "int8")), (plain["memory"], ("int4", "int8")))]
        self.assertEqual(*needed)

    def test_settings_that_contradict_the_folder(self):
        self.quantize("--format", "int8")
        for flags, words in ((["--quantization", "int4"], "--quantization is int4 but"), (["--head-format", "none"], "--head-format is none but")):
            result = harness.run("logits", "--model", self.out, "--ids", "1", *flags)
            self.assertEqual((result.returncode, result.stderr.count("\n")), (2, 1), result.stderr)
            self.assertIn(words, result.stderr)
        self.assertEqual(self.logits(self.out, "--quantization", "int8"), self.logits(self.out))

    def test_an_int8_head_for_other_folders(self):
        self.assertEqual(self.logits(self.model, "--quantization", "int4", "--head-format", "int8"), self.logits(self.model, "--quantization", "int4"))
        plain, head, both = (self.logits(self.model, *flags) for flags in ([], ["--head-format", "int8"], ["--quantization", "int8"]))
        self.assertNotEqual(head, plain)
        self.assertNotEqual(head, both)

    def test_packed_files_of_both_heads_stand_side_by_side(self):
        cache = self.out.parent / "cache"
        if subprocess.run(["stat", "-f", "-c", "%T", self.out.parent], capture_output=True, text=True).stdout.strip() == "tmpfs":
            self.skipTest("TMPDIR is in memory, where no quantized weights are kept")
        for head in ("auto", "none"):
            flags = ["--quantization", "int4", "--head-format", head]
            expected = self.logits(self.model, *flags)
            for _ in range(2):
                self.assertEqual(self.logits(self.model, *flags, "--cache-dir", cache), expected)
        self.assertRegex(" ".join(sorted(path.name for path in cache.iterdir())), r"^demo-\w+\.int4-head-none\.packed demo-\w+\.int4\.packed$")

    def test_gptq_is_what_its_definition_says(self):
        for flags in (["--group-size", 64], ["--asymmetric", "--act-order"], ["--bits", 8, "--group-size", -1]):
            said = self.quantize("--format", "gptq", "--calibration-sequences", 8, "--calibration-tokens", 64, "--force", *flags)
            self.assertRegex(said, r"(?m)^ mean +[\d.]+ +[\d.]+x$")
            config = json.loads((self.out / "config.json").read_text(encoding="utf-8"))["quantization_config"]
            self.assertEqual((config["quant_method"], config["checkpoint_format"], config["desc_act"]),
                             ("gptq", "gptq_v2" if "--asymmetric" in flags else "gptq", False))
            tensors = read_safetensors(self.out / "model.safetensors")
            original = read_safetensors(self.model / "model.safetensors")
            plain = {name: tensor for name, tensor in tensors.items() if name in original}
            self.assertEqual(plain, {name: original[name] for name in plain})
            self.assertIn("model.embed_tokens.weight", plain)
            for name in [name for name in tensors if name.endswith(".qweight")]:
                module = name.removesuffix(".qweight")
                plain[module + ".weight"] = dequantize_gptq(tensors, module, config["bits"], 0 if "--asymmetric" in flags else 1)
                g_idx = array.array("i", tensors[module + ".g_idx"][2])
                self.assertEqual(list(g_idx), [i // config["group_size"] if config["group_size"] > 0 else 0 for i in range(len(g_idx))])
            with harness.changed_model(self.model) as copy:
                (copy / "model.safetensors").unlink()
                write_safetensors(copy / "model.safetensors", plain)
                self.assertEqual(self.logits(self.out, "--kernels", "reference"), self.logits(copy, "--kernels", "reference"))

    def test_what_the_folders_cost(self):
        """`bench quality` takes what fits: the reference is what the folder's integers stand for, with f32 activations."""
        for flags, formats in ((["--format", "int4"], ["none", "int4", "kv-int8"]),
                               (["--format", "gptq", "--calibration-sequences", 8, "--calibration-tokens", 64], ["none", "int8", "kv-int8"])):
            self.quantize("--force", *flags)
            quality = ["bench", "quality", "--model", self.out, "--layers", 2, "--sequences", 2, "--json"]
            result = harness.run(*quality)
            self.assertEqual(result.returncode, 0, result.stderr)
            entries = json.loads(result.stdout)["formats"]
            self.assertEqual([entry["format"] for entry in entries], formats)
            for entry in entries:
                self.assertGreater(entry["mean_kl"], 0)
                self.assertLess(entry["mean_kl"], 0.05)
            refused = harness.run(*quality, "--formats", "q8_0")
            self.assertEqual((refused.returncode, refused.stderr.count("\n")), (2, 1), refused.stderr)
            self.assertIn(",".join(formats), refused.stderr)

    def test_the_gptq_report(self):
        self.quantize("--format", "gptq", "--calibration-sequences", 16, "--calibration-tokens", 128)
        report = json.loads((self.out / "quantize_report.json").read_text(encoding="utf-8"))
        self.assertEqual((report["bits"], report["group_size"], report["calibration"]["tokens"], report["calibration"]["seed"]), (4, 128, 16 * 128, 1))
        self.assertEqual(len(report["modules"]), 28)
        for module in report["modules"]:
            self.assertLess(module["error"], module["nearest_error"], module["module"])
        first = (self.out / "model.safetensors").read_bytes()
        self.quantize("--format", "gptq", "--calibration-sequences", 16, "--calibration-tokens", 128, "--force", "--threads", 1)
        self.assertEqual((self.out / "model.safetensors").read_bytes(), first, "the same command, other bytes")

    def test_calibration_files(self):
        folder = self.out.parent
        (folder / "text.txt").write_text("What is 946 + 544? " * 200, encoding="utf-8")
        (folder / "lines.jsonl").write_text("\n".join(json.dumps(line) for line in (
            {"text": "What is 946 + 544?"}, {"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]},
            {"ids": list(range(100))})) + "\n\n", encoding="utf-8")
        for name, tokens in (("text.txt", 2 * 64), ("lines.jsonl", None)):
            result = harness.run("quantize", "--model", self.model, "--output", self.out, "--format", "gptq", "--calibration", folder / name,
                                 "--calibration-sequences", 2, "--calibration-tokens", 64, "--force")
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertIn("tokens, fewer than the", result.stderr)
            report = json.loads((self.out / "quantize_report.json").read_text(encoding="utf-8"))["calibration"]
            self.assertEqual((report["source"], report["sha256"]), (name, hashlib.sha256((folder / name).read_bytes()).hexdigest()))
            if tokens:
                self.assertEqual(report["tokens"], tokens)
        for line, words in (('{"ids": [99999]}', "token id 99999"), ("{", "bad.jsonl:2"), ('{"prompt": 1}', "neither"), ('{"messages": []}', "bad.jsonl:2")):
            (folder / "bad.jsonl").write_text('{"ids": [1]}\n' + line + "\n", encoding="utf-8")
            self.fails("--format", "gptq", "--calibration", folder / "bad.jsonl", "--force", status=65, words=words)
        (folder / "bad.jsonl").write_text("", encoding="utf-8")
        self.fails("--format", "gptq", "--calibration", folder / "bad.jsonl", "--force", status=65, words="fewer than two tokens")
        self.fails("--format", "gptq", "--calibration", folder / "absent", "--force", status=66, words="absent")

    def fails(self, *flags, status, words, model=None, output=None):
        before = sorted(self.out.parent.iterdir())
        result = harness.run("quantize", "--model", model or self.model, "--output", self.out if output is None else output, *flags)
        lines = [line for line in result.stderr.splitlines() if not line.startswith(("quantizing:", "sampling:", "loading:"))]
        self.assertEqual((result.returncode, len(lines)), (status, 1), result.stderr)
        self.assertIn(words, lines[0])
        self.assertEqual(sorted(self.out.parent.iterdir()), before, "something was left behind")

    def test_wrong_flags_and_folders(self):
        self.fails("--format", "int3", status=2, words="--format")
        self.fails("--format", "gptq", "--bits", 3, status=2, words="--bits")
        self.fails("--format", "gptq", "--group-size", 100, status=2, words="--group-size")
        self.fails("--format", "gptq", "--damp-percent", 0, status=2, words="--damp-percent")
        self.fails("--format", "gptq", "--calibration-tokens", 1, status=2, words="--calibration-tokens")
        self.fails("--format", "int8", "--force", output=self.model, status=2, words="which is read, lies there; choose another")
        self.fails("--format", "int8", "--force", output=self.model.parent, status=2, words="which is read, lies there; choose another")
        self.fails("--format", "int8", model=self.out / "absent", status=66, words="absent")
        self.assertEqual(harness.run("quantize", "--model", self.model, "--format", "int8").returncode, 2)
        self.quantize("--format", "int8")
        self.fails("--format", "int8", status=73, words="not empty")
        self.fails("--format", "int4", model=self.out, output=self.out.parent / "again", status=65, words="holds int8 weights")
        self.quantize("--format", "int4", "--force")
        (self.out / "config.json").unlink()
        self.fails("--format", "int8", "--force", status=73, words="holds no model")
        (self.out.parent / "file").write_text("")
        self.fails("--format", "int8", output=self.out.parent / "file" / "below", status=73, words="below")

    def test_flags_that_would_do_nothing(self):
        for flags, words in ((["--group-size", 64], "--format int4-g64"), (["--bits", 8], "--bits"), (["--calibration", "text"], "--calibration"),
                             (["--asymmetric"], "--asymmetric"), (["--seed", 2], "--seed")):
            self.fails("--format", "int4", *flags, status=2, words=words)
        self.fails("--format", "gptq", "--head-format", "int8", status=2, words="--head-format int8")
        self.fails("--format", "gptq", "--calibration", "text", "--seed", 2, status=2, words="--seed")
        self.fails("--format", "gptq", "--damp-percent", 1, status=2, words="--damp-percent")
        self.fails("--format", "int8", output="", status=2, words="--output")
        self.fails("--format", "int8", output="/proc", status=73, words="mount point")

    def test_what_does_not_fit_in_memory_is_told_before_anything_is_sampled(self):
        self.fails("--format", "gptq", "--calibration-sequences", 4096, "--calibration-tokens", 32768, status=71, words="--calibration-tokens")

    def test_force_removes_nothing_but_a_model(self):
        self.quantize("--format", "int8")
        for name in ("thesis.tex", ".git", "data.csv"):
            (self.out / name).write_text("precious")
            self.fails("--format", "int8", "--force", status=73, words=name)
            (self.out / name).unlink()
        (self.out / "folder").mkdir()
        self.fails("--format", "int8", "--force", status=73, words="folder")
        self.assertTrue((self.out / "folder").is_dir())
        real, links = self.out.parent / "real", self.out.parent / "links"
        real.mkdir(), links.mkdir()
        for path in self.model.iterdir():
            if path.is_file():
                shutil.copy(path, real)
                (links / path.name).symlink_to(f"../real/{path.name}")
        self.fails("--format", "int8", "--force", model=links, output=real, status=2, words="which is read, lies there")
        self.assertTrue((real / "model.safetensors").exists())

    def test_damaged_weights_are_named(self):
        ids = self.out.parent / "ids.jsonl"
        ids.write_text(json.dumps({"ids": list(range(64))}))
        for name, number, formats, words in (
                ("model.layers.1.mlp.up_proj.weight", b"\xff\x7f", ("int8", "int4", "gptq"), "up_proj.weight: a weight is not finite"),
                ("model.norm.weight", b"\x80\x7f", ("int8", "gptq"), "model.norm.weight: a weight is not finite"),
                ("model.layers.1.input_layernorm.weight", b"\x7f\x7f", ("gptq",), "layers.1.self_attn.q_proj: its inputs are not finite")):
            with harness.changed_model(self.model) as copy:
                tensors = read_safetensors(copy / "model.safetensors")
                dtype, shape, data = tensors[name]
                self.assertEqual(dtype, "BF16")
                tensors[name] = (dtype, shape, data[:-2] + number)
                (copy / "model.safetensors").unlink()
                write_safetensors(copy / "model.safetensors", tensors)
                for format in formats:
                    flags = ["--calibration", ids] if format == "gptq" else []
                    self.fails("--format", format, *flags, model=copy, status=65, words=words)

    def test_a_limit_on_file_sizes_is_an_error(self):
        result = subprocess.run(["sh", "-c", 'ulimit -f 64; exec "$@"', "sh", harness.BINARY, "quantize", "--model", self.model, "--format", "int8",
                                 "--output", self.out], capture_output=True, text=True, env=harness.environment())
        self.assertEqual(result.returncode, 73, result.stderr)
        self.assertIn("File too large", result.stderr)
        self.assertEqual(list(self.out.parent.iterdir()), [])

    def test_an_interrupt_leaves_nothing(self):
        process = subprocess.Popen([harness.BINARY, "quantize", "--model", self.model, "--format", "gptq", "--output", self.out, "--threads", "1",
                                    "--calibration-sequences", "256"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=harness.environment())
        partial = self.out.with_name("out.partial")
        end = time.monotonic() + 60
        while not (partial / "model.safetensors.partial").exists() and time.monotonic() < end and process.poll() is None:
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        _, errors = process.communicate(timeout=60)
        self.assertEqual(process.returncode, 1, errors)
        self.assertIn(b"interrupted; nothing was written", errors)
        self.assertEqual(list(self.out.parent.iterdir()), [])


if __name__ == "__main__":
    harness.main()
