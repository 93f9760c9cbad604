"""What quantizing costs on the demo model: `bench quality` on conversations with right answers, held against llama.cpp's formats."""

import json
import pathlib
import tempfile
import unittest

import demo_accuracy
import harness

PROBLEMS = harness.SOURCE / "tests" / "data" / "demo_problems.jsonl"
MOST = {"int8": 1.6, "int4": 1.35, "int4-g64": 1.2}  # times the mean KL of q8_0 and q4_0: the demo model has no outlier channels
FORMATS = ["none", "int8", "int4", "int4-g64", "q8_0", "q4_0", "kv-int8"]


def conversations(count):
    problems = harness.read_jsonl(PROBLEMS)[:count]
    return "".join(f"<|im_start|>user\n{problem['prompt']}<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n{problem['answer']}<|im_end|>\n"
                   for problem in problems)


class Quality(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        harness.needs_demo()
        with tempfile.TemporaryDirectory() as folder:
            text = pathlib.Path(folder) / "text.txt"
            text.write_text(conversations(400), encoding="utf-8")
            result = harness.run("bench", "quality", "--model", harness.DEMO, "--text", text, "--sequences", 16, "--length", 128, "--formats",
                                 ",".join(FORMATS), "--json")
        if result.returncode != 0:
            raise AssertionError(result.stderr)
        cls.report = json.loads(result.stdout)
        cls.formats = {entry["format"]: entry for entry in cls.report["formats"]}

    def test_the_report_is_complete(self):
        self.assertEqual(list(self.formats), FORMATS)
        self.assertEqual((self.report["layers"], self.report["sequences"]), (4, 16))
        for entry in self.formats.values():
            self.assertEqual(entry["positions"], 16 * 128)
            self.assertGreater(entry["mean_kl"], 0)

    def test_no_format_is_farther_from_bf16_than_its_gate(self):
        for name, most in MOST.items():
            self.assertLessEqual(self.formats[name]["kl_ratio"], most, name)

    def test_more_bits_are_nearer(self):
        kl = [self.formats[name]["mean_kl"] for name in ("none", "int8", "int4-g64", "int4")]
        self.assertEqual(kl, sorted(kl))
        self.assertLess(self.formats["none"]["mean_kl"], 1e-3)
        self.assertGreater(self.formats["int8"]["top1_agreement"], 0.97)
        self.assertGreater(self.formats["int4"]["top1_agreement"], 0.85)

    def test_an_int8_cache_costs_less_than_int8_weights(self):
        self.assertLess(self.formats["kv-int8"]["mean_kl"], self.formats["int8"]["mean_kl"])
        self.assertGreater(self.formats["kv-int8"]["top1_agreement"], 0.97)

    def test_bits_count_scales(self):
        self.assertEqual(self.formats["int8"]["bits_per_weight"], 8.125)
        self.assertEqual(self.formats["q8_0"]["bits_per_weight"], 8.5)
        bits = [self.formats[name]["bits_per_weight"] for name in ("int4", "int4-g64", "q4_0")]
        self.assertEqual(bits, sorted(bits))


class PairedLoss(unittest.TestCase):
    def test_points_and_half_of_the_interval(self):
        first, other = [True] * 98 + [False] * 2, [True] * 95 + [False] * 3 + [True, False]  # three lost, one won
        loss, half = demo_accuracy.paired_loss(first, other)
        self.assertAlmostEqual(loss, 2.0)
        self.assertAlmostEqual(half, 100 * 1.96 * ((4 - 2**2 / 100) / 100 / 100) ** 0.5)
        self.assertEqual(demo_accuracy.paired_loss(first, first), (0, 0))


class Results(unittest.TestCase):
    def test_outcomes_of_something_else_are_not_taken_over(self):
        with tempfile.TemporaryDirectory() as folder:
            model, file = pathlib.Path(folder) / "model", pathlib.Path(folder) / "results.jsonl"
            model.mkdir()
            (model / "model.safetensors").write_text("weights", encoding="utf-8")
            source = demo_accuracy.digest_of(model, ["--threads", "2"])
            self.assertEqual(demo_accuracy.read_outcomes(file, {"int8": source}), {})
            file.write_text(json.dumps({"of": source, "format": "int8", "index": 3, "right": True}) + "\n", encoding="utf-8")
            self.assertEqual(demo_accuracy.read_outcomes(file, {"int8": source}), {("int8", 3): True})
            self.assertNotEqual(source, demo_accuracy.digest_of(model, []))
            (model / "model.safetensors").write_text("Weights", encoding="utf-8")
            changed = demo_accuracy.digest_of(model, ["--threads", "2"])
            with self.assertRaisesRegex(ValueError, "another program, model"):
                demo_accuracy.read_outcomes(file, {"int8": changed})


class Flags(unittest.TestCase):
    def fails(self, *flags, name):
        result = harness.run("bench", "quality", "--model", harness.needs_demo(), *flags)
        self.assertEqual(result.returncode, 2, result.stderr)
        self.assertEqual(result.stderr.count("\n"), 1, result.stderr)
        self.assertIn(name, result.stderr)

    def test_wrong_ones_are_named(self):
        self.fails("--formats", "int8,int3", name="int3")
        self.fails("--formats", "", name="none")
        self.fails("--layers", "5", name="--layers")
        self.fails("--length", "2", name="--length")
        self.fails("--length", "8192", "--sequences", "2", name="--length")
        self.fails("--reference-kernels", "nonsense", name="nonsense")
        self.fails("--reference-kernels", "reference", "--formats", "kv-int8", name="kv-int8")
        self.fails("--kv-cache-dtype", "int8", name="--kv-cache-dtype")
        if "avx512_bf16" in harness.run("version").stdout:
            self.fails("--reference-kernels", "avx512_bf16", name="round activations")

    def test_a_slice_of_layers_and_a_seed(self):
        def run(*flags):
            result = harness.run("bench", "quality", "--model", harness.needs_demo(), "--layers", 2, "--formats", "int8", "--json", *flags)
            self.assertEqual((result.returncode, result.stderr.count("WARNING")), (0, 0), result.stderr)
            return json.loads(result.stdout)["formats"]
        self.assertEqual(run("--seed", 1), run("--seed", 1))
        self.assertNotEqual(run("--seed", 1), run("--seed", 2))


if __name__ == "__main__":
    harness.main()
