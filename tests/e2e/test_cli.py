"""Help, exit statuses and one-line errors of every command; inspect, tokenize and render on a small folder."""

import json
import pathlib
import re
import socket
import struct
import subprocess
import tempfile
import unittest

import harness

COMMANDS = ["serve", "chat", "generate", "tokenize", "render", "logits", "quantize", "inspect", "bench", "healthcheck", "version"]


class CommandLine(unittest.TestCase):
    def fails(self, status, *arguments, names=(), stdin=""):
        result = harness.run(*arguments, stdin=stdin)
        self.assertEqual(result.returncode, status, f"{arguments}: {result.stderr}")
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        self.assertTrue(result.stderr.startswith("qwen-thinking: "), result.stderr)
        for name in names:
            self.assertIn(name, result.stderr)
        return result.stderr


class Usage(CommandLine):
    def test_help_everywhere(self):
        result = harness.run("--help")
        self.assertEqual(result.returncode, 0)
        for command in COMMANDS:
            self.assertIn(command, result.stdout)
            own = harness.run(command, "--help")
            self.assertEqual((own.returncode, own.stderr), (0, ""), command)
            self.assertIn("--help", own.stdout)
        self.assertIn("MODEL_PATH", harness.run("inspect", "--help").stdout)
        serve = harness.run("serve", "--help").stdout
        for variable in ("API_KEYS", "CACHE_ENABLE", "REDIS_URL", "SSL_CONFIG", "OPEN_ROUTES", "REQUESTS_PER_MINUTE"):
            self.assertRegex(serve, rf"\n  {variable} +[A-Z]")
        self.assertNotIn("Port to listen on", harness.run("healthcheck", "--help").stdout)

    def test_wrong_flags_are_2_and_name_the_flag(self):
        self.fails(2, names=["subcommand"])
        self.fails(2, "no-such-command", names=["no-such-command"])
        self.fails(2, "render", "--jsonl", "--json", names=["--json", "render --help"])
        self.fails(2, "inspect", "--model", ".", "--colour", names=["--colour"])
        self.fails(2, "logits", "--model", ".", "--ids", "1,x", names=["--ids"])
        self.fails(2, "serve", "--prot", "8000", names=["no flag --prot", "did you mean --port?", "serve --help"])
        self.fails(2, "serve", "--check-config", "--max-num-seq=4", names=["no flag --max-num-seq;", "did you mean --max-num-seqs?"])
        self.fails(2, "generate", "--promt", "hi", names=["no flag --promt", "did you mean --prompt?"])
        self.assertNotIn("a-secret", self.fails(2, "serve", "--api-key=a-secret", names=["no flag --api-key"]))
        self.assertNotIn("did you mean", self.fails(2, "serve", "--colour", "red", names=["no flag --colour"]))
        self.fails(2, "sreve", names=["no command sreve", "did you mean serve?"])
        self.fails(2, "tokenize", "--model", ".", "one", "two", names=["two"])
        self.fails(2, "logits", "--model", ".", "--threads", "many", "--ids", "1", names=["--threads"])
        self.fails(2, "render", "--model", ".", "--chat-template", "llama", names=["--chat-template", "hybrid"])
        self.fails(2, "bench", "--model", harness.DEMO, "--batch", "1,x", names=["--batch", "none"])
        self.fails(2, "healthcheck", "--url", "ftp://example.org", names=["--url"])

    def test_version(self):
        self.assertRegex(harness.run("version").stdout, r"^qwen-thinking \d+\.\d+\.\d+ \(")
        self.assertRegex(harness.run("--version").stdout, r"^qwen-thinking \d+\.\d+\.\d+$")

    def test_sampling_flags_out_of_range(self):
        for flags in (["--seed", "18446744073709551616"], ["--seed", "-1"], ["--stop", ""], ["--stop", "x" * 257], ["--stop", "a"] * 5,
                      ["--temperature", "abc"], ["--top-p", "0"], ["--max-length", "0"]):
            self.fails(2, "generate", "--prompt", "hi", *flags, names=[flags[0]])

    def test_a_metrics_port_that_cannot_be(self):
        self.fails(2, "serve", "--port", "8001", "--metrics-port", "8001", names=["--metrics-port"])
        self.fails(2, "serve", "--metrics-port", "8002", "--enable-metrics", "false", names=["--metrics-port"])

    def test_a_port_that_is_taken(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = str(taken.getsockname()[1])
            for flags in (("--port", port), ("--port", "0", "--metrics-port", port)):
                self.fails(71, "serve", "--host", "127.0.0.1", *flags, names=[f"127.0.0.1:{port}", flags[-2], "ss -ltnp", "another"])

    def test_an_address_that_this_machine_does_not_have(self):
        for host in ("192.0.2.1", "no.such.host.invalid"):
            self.fails(71, "serve", "--host", host, "--port", "0", names=[host, "(--host)", "0.0.0.0"])

    def test_healthcheck_without_a_service_is_1(self):
        self.fails(1, "healthcheck", "--port", "1", names=["127.0.0.1:1"])

    def test_healthcheck_asks_the_address_that_the_service_listens_on(self):
        for host, asked in (("127.0.0.2", "127.0.0.2:1"), ("0.0.0.0", "127.0.0.1:1"), ("::", "[::1]:1")):
            self.fails(1, "healthcheck", "--host", host, "--port", "1", names=[f"http://{asked}/readyz"])
            result = harness.run("healthcheck", env=harness.environment(HOST=host, PORT="1"))
            self.assertIn(f"http://{asked}/readyz", result.stderr)


class BadModels(CommandLine):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        config = {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_size": 8, "intermediate_size": 16, "num_hidden_layers": 1,
                  "num_attention_heads": 2, "num_key_value_heads": 1, "head_dim": 4, "vocab_size": 32, "max_position_embeddings": 64,
                  "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "tie_word_embeddings": True, "torch_dtype": "float32", "eos_token_id": 0}
        self.write_config(config)
        shapes = {"model.embed_tokens.weight": [32, 8], "model.norm.weight": [8]}
        layer = {"input_layernorm": [8], "post_attention_layernorm": [8], "self_attn.q_proj": [8, 8], "self_attn.k_proj": [4, 8],
                 "self_attn.v_proj": [4, 8], "self_attn.o_proj": [8, 8], "self_attn.q_norm": [4], "self_attn.k_norm": [4],
                 "mlp.gate_proj": [16, 8], "mlp.up_proj": [16, 8], "mlp.down_proj": [8, 16]}
        shapes.update({f"model.layers.0.{name}.weight": shape for name, shape in layer.items()})
        self.write_weights(shapes)

    def write_config(self, config):
        self.config = config
        (self.folder / "config.json").write_text(json.dumps(config))

    def write_weights(self, shapes):
        self.shapes = shapes
        header, data = {}, b""
        for name, shape in shapes.items():
            count = shape[0] * (shape[1] if len(shape) > 1 else 1)
            header[name] = {"dtype": "F32", "shape": shape, "data_offsets": [len(data), len(data) + 4 * count]}
            data += struct.pack(f"<{count}f", *[(i * 37 % 101 - 50) / 100 for i in range(count)])
        text = json.dumps(header).encode()
        (self.folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)

    def logits(self, *flags):
        return ["logits", "--model", self.folder, "--ids", "1,2,3", *flags]

    def test_the_folder_itself_works(self):
        result = harness.run(*self.logits())
        self.assertEqual(result.returncode, 0, result.stderr)
        self.assertEqual(len(json.loads(result.stdout)["logits"]), 32)

    def test_missing_files_are_66(self):
        self.fails(66, "inspect", "--model", self.folder / "nowhere", names=["nowhere", "--model"])
        self.fails(66, "tokenize", "--model", self.folder, "text", names=["tokenizer.json"])
        (self.folder / "model.safetensors").unlink()
        self.fails(66, *self.logits(), names=["model.safetensors"])
        (self.folder / "config.json").unlink()
        self.fails(66, *self.logits(), names=["config.json"])

    def test_corrupt_files_are_65(self):
        self.write_config({**self.config, "num_key_value_heads": 0})
        self.fails(65, *self.logits(), names=["config.json", "num_key_value_heads"])
        self.write_config({**self.config, "hidden_size": 1 << 40})
        self.fails(65, *self.logits(), names=["config.json", "hidden_size"])
        self.write_config({**self.config, "architectures": ["LlamaForCausalLM"], "model_type": "llama"})
        self.fails(65, *self.logits(), names=["config.json", "architectures"])
        (self.folder / "config.json").write_text("{\"architectures\": [")
        self.fails(65, *self.logits(), names=["config.json"])

    def test_weights_that_do_not_fit_are_65(self):
        whole = (self.folder / "model.safetensors").read_bytes()
        (self.folder / "model.safetensors").write_bytes(whole[:-4])
        self.fails(65, *self.logits(), names=["model.safetensors"])
        (self.folder / "model.safetensors").write_bytes(struct.pack("<Q", 1 << 60) + whole[8:])
        self.fails(65, *self.logits(), names=["model.safetensors"])
        self.write_weights({name: shape for name, shape in self.shapes.items() if "q_norm" not in name})
        self.fails(65, *self.logits(), names=["q_norm"])
        self.write_weights({**self.shapes, "model.layers.0.mlp.up_proj.weight": [8, 16]})
        self.fails(65, *self.logits(), names=["up_proj"])

    def test_ids_beyond_the_vocabulary(self):
        self.fails(2, "logits", "--model", self.folder, "--ids", "1,32", names=["32"])
        answers = harness.run_jsonl("logits", "--model", self.folder, lines=[{"ids": [32]}, {"ids": []}, {"ids": [1] * 65}, {"ids": [1]}])
        self.assertEqual(["error" in answer for answer in answers], [True, True, True, False])

    def test_all_logits_are_written_row_by_row(self):
        vocab = 50000
        self.write_config({**self.config, "vocab_size": vocab})
        self.write_weights({**self.shapes, "model.embed_tokens.weight": [vocab, 8]})

        def peak_kib(count):
            """The most memory held up to the last rows of the answer, which the full pipe keeps back."""
            command = ["logits", "--model", self.folder, "--all", "--chunk", "1", "--ids", ",".join(["1"] * count)]
            whole = len(harness.run(*command).stdout)
            process = subprocess.Popen([harness.BINARY, *map(str, command)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                       env=harness.environment())
            with process:
                process.stdout.read(whole - 200_000)
                status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
                process.stdout.read()
            self.assertEqual(process.returncode, 0)
            return int(re.search(r"VmHWM:\s+(\d+) kB", status).group(1)), whole

        (few, _), (many, size) = peak_kib(1), peak_kib(64)
        self.assertGreater(size, 20 << 20)
        self.assertLess(many - few, 8 << 10)

    def test_kernels_that_do_not_exist_are_2(self):
        self.fails(2, *self.logits("--kernels", "abacus"), names=["abacus", "reference"])

    def test_inspect_needs_no_weights(self):
        whole = json.loads(harness.run("inspect", "--model", self.folder, "--json").stdout)
        self.assertEqual(whole["parameters"], sum(s[0] * (s[1] if len(s) > 1 else 1) for s in self.shapes.values()))
        self.assertEqual(len(whole["tensors"]), len(self.shapes))
        self.assertEqual(whole["tensor_bytes"], 4 * whole["parameters"])
        (self.folder / "model.safetensors").unlink()
        bare = harness.run("inspect", "--model", self.folder)
        self.assertEqual(bare.returncode, 0, bare.stderr)
        self.assertIn("no weights", bare.stdout)
        for name in ("none", "int8", "int4"):
            self.assertIn(name, bare.stdout)

    def test_inspect_counts_an_int8_cache_with_its_scales(self):
        def inspect(*flags):
            return json.loads(harness.run("inspect", "--model", harness.DEMO, "--json", *flags).stdout)
        plain, int8, reference = (inspect(*flags) for flags in (("--kv-cache-dtype", "bfloat16"), ("--kv-cache-dtype", "int8"),
                                                                ("--kernels", "reference")))
        config = plain["config"]
        heads = 2 * config["num_hidden_layers"] * config["num_key_value_heads"]
        self.assertEqual((plain["kv_cache_dtype"], plain["kv_bytes_per_token"]), ("bfloat16", heads * 2 * config["head_dim"]))
        self.assertEqual((reference["kv_cache_dtype"], reference["kv_bytes_per_token"]), ("float32", heads * 4 * config["head_dim"]))
        self.assertEqual((int8["kv_cache_dtype"], int8["kv_bytes_per_token"]), ("int8", heads * (config["head_dim"] + 4)))

    def test_inspect_counts_the_head_in_its_format(self):
        def inspect(*flags):
            memory = json.loads(harness.run("inspect", "--model", harness.DEMO, "--json", *flags).stdout)["memory"]
            for entry in memory:
                self.assertEqual(entry["total_bytes"], sum(entry[name] for name in ("weight_bytes", "workspace_bytes", "kv_bytes")))
            return {entry["format"]: (entry["head_format"], entry["weight_bytes"]) for entry in memory}
        auto, plain, int8 = inspect(), inspect("--head-format", "none"), inspect("--head-format", "int8")
        self.assertEqual([auto[name][0] for name in ("none", "int8", "int4")], ["none", "int8", "int8"])
        self.assertEqual({head for head, _ in plain.values()}, {"none"})
        self.assertEqual({head for head, _ in int8.values()}, {"int8"})
        self.assertEqual(auto["none"], plain["none"])
        self.assertEqual(auto["int4"], int8["int4"])
        self.assertLess(int8["none"][1], plain["none"][1])
        self.assertLess(auto["int4"][1], plain["int4"][1])

    def test_inspect_does_not_pass_over_weights_that_cannot_be_read(self):
        weights = self.folder / "model.safetensors"
        for name in ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json"):
            weights.unlink()
            weights = self.folder / name
            weights.symlink_to(self.folder / "nowhere")
            self.fails(66, "inspect", "--model", self.folder, names=[name])
        weights.unlink()
        weights.mkdir()
        self.fails(66, "inspect", "--model", self.folder, names=[weights.name, "put the file itself"])


class Bench(CommandLine):
    def test_json_holds_every_test_beside_its_ceiling(self):
        result = harness.run("bench", "--model", harness.DEMO, "--prefill", "16", "--decode", "40", "--batch", "2", "--steps", "2", "--runs",
                             "1", "--threads", "1", "--json")
        self.assertEqual(result.returncode, 0, result.stderr)
        report = json.loads(result.stdout)
        self.assertEqual((report["format"], report["threads"]), ("int8", 1))
        self.assertEqual([test["tokens"] for test in report["prefill"]], [16])
        self.assertEqual([test["depth"] for test in report["decode"]], [40])
        self.assertEqual([test["size"] for test in report["batch"]], [2])
        for test in report["prefill"] + report["decode"] + report["batch"]:
            self.assertEqual(len(test["runs"]), 1)
            self.assertIn(test["attempts"], (1, 2, 3))
            for key in ("tokens_per_second", "best", "ceiling", "share", "read_gbs", "dot_gops"):
                self.assertGreater(test[key], 0, key)


class Text(CommandLine):
    @classmethod
    def setUpClass(cls):
        cls.model = harness.DEMO if (harness.DEMO / "tokenizer.json").exists() else harness.needs_shared("qwen3-tokenizer")

    def test_tokenize_there_and_back(self):
        ids = harness.run("tokenize", "--model", self.model, "Hello, 世界 <|im_end|>").stdout.strip()
        self.assertEqual(harness.run("tokenize", "--model", self.model, "--ids", ids).stdout, "Hello, 世界 <|im_end|>\n")
        self.assertEqual(harness.run("tokenize", "--model", self.model, stdin="Hello, 世界 <|im_end|>").stdout.strip(), ids)
        skipped = harness.run("tokenize", "--model", self.model, "--ids", "--skip-special", ids).stdout
        self.assertEqual(skipped, "Hello, 世界 \n")
        literal = harness.run("tokenize", "--model", self.model, "--no-added-tokens", "Hello, 世界 <|im_end|>").stdout.strip()
        self.assertGreater(literal.count(","), ids.count(","))

    def test_a_line_that_cannot_be_done_answers_an_error(self):
        lines = ["{\"text\":\"a\"}", "nonsense", "[]", "{}", "{\"text\":5}", "{\"ids\":[-1]}", "{\"ids\":[1.5]}", "{\"ids\":\"1\"}",
                 "{\"text\":\"a\",\"ids\":[1]}", "{\"ids\":[]}"]
        result = harness.run("tokenize", "--model", self.model, "--jsonl", stdin="\n".join(lines) + "\n")
        self.assertEqual(result.returncode, 0, result.stderr)
        answers = [json.loads(line) for line in result.stdout.splitlines()]
        self.assertEqual(["error" in answer for answer in answers], [False] + [True] * 8 + [False])
        self.assertEqual(answers[-1], {"text": ""})

    def test_render_takes_an_object_or_a_list(self):
        messages = [{"role": "user", "content": "Hi"}]
        plain = harness.run("render", "--model", self.model, stdin=json.dumps(messages))
        self.assertEqual(plain.stdout, "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n<think>\n", plain.stderr)
        whole = harness.run("render", "--model", self.model, stdin=json.dumps({"messages": messages, "add_generation_prompt": False}))
        self.assertEqual(whole.stdout, "<|im_start|>user\nHi<|im_end|>\n")
        answers = harness.run_jsonl("render", "--model", self.model, lines=[{"messages": messages}, {"messages": []}, {}])
        self.assertEqual(["error" in answer for answer in answers], [False, True, True])
        for wrong in ("{", "7", "{}", "[]", "[{\"role\":\"user\"}"):
            self.fails(1, "render", "--model", self.model, stdin=wrong, names=["standard input: ", "give messages such as"])


if __name__ == "__main__":
    harness.main()
