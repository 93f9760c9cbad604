"""What bench/performance_table.py and bench/peers/compare.py are made of: reading each engine's output, which samples count, ratios, the table; and SKIP without a peer."""

import contextlib
import io
import json
import os
import pathlib
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[2]
PEERS = ROOT / "bench" / "peers"
sys.path[:0] = [str(PEERS), str(PEERS.parent)]
sys.dont_write_bytecode = True

import compare  # noqa: E402
import engines  # noqa: E402
import performance_table  # noqa: E402
import ratios  # noqa: E402


def sample(engine, value, number=1, other=0.0, test="prefill", size=512, form="int8"):
    return {"engine": engine, "format": form, "test": test, "size": size, "value": value, "round": number, "read_gbs": 30.0, "dot_gops": 800.0,
            "other_load": other}


class Reading(unittest.TestCase):
    def test_our_json(self):
        beside = {"read_gbs": 30, "dot_gops": 800, "other_load": 0.1}
        report = {"prefill": [{"tokens": 512, "tokens_per_second": 50, **beside}], "decode": [{"depth": 0, "tokens_per_second": 4, **beside}],
                  "batch": [{"size": 8, "tokens_per_second": 20, **beside}], "peak_resident_bytes": 7}
        self.assertEqual(engines.read_ours(json.dumps(report), ""), [("prefill", 512, 50, beside), ("decode", 0, 4, beside), ("batch", 8, 20, beside),
                                                                     ("memory", 0, 7, {})])

    def test_llama_bench(self):
        entries = [{"n_prompt": 128, "n_gen": 0, "n_depth": 0, "samples_ts": [30.5]}, {"n_prompt": 0, "n_gen": 16, "n_depth": 2048, "samples_ts": [7]},
                   {"n_prompt": 2048, "n_gen": 16, "samples_ts": [8]}]  # the last one as ik_llama.cpp's -gp
        self.assertEqual(engines.read_bench("a warning\n" + json.dumps(entries), ""),
                         [("prefill", 128, 30.5, {}), ("decode", 2048, 7, {}), ("decode", 2048, 8, {})])

    def test_batched_bench_as_lines_and_as_a_table(self):
        line = json.dumps({"pp": 64, "tg": 16, "pl": 4, "speed_pp": 29.9, "speed_tg": 21.7})
        self.assertEqual(engines.read_batched(f"noise\n{line}\n", ""), [("batch", 4, 21.7, {})])
        table = ("|    PP |     TG |    B |   N_KV |   T_PP s | S_PP t/s |   T_TG s | S_TG t/s |      T s |    S t/s |\n"
                 "|-------|--------|------|--------|----------|----------|----------|----------|----------|----------|\n"
                 "|    64 |     16 |    8 |    640 |    9.532 |    53.71 |    4.672 |    27.40 |   14.204 |    45.06 |\n")
        self.assertEqual(engines.read_batched("", table), [("batch", 8, 27.4, {})])


class Commands(unittest.TestCase):
    def test_each_part_has_its_run(self):
        tests = engines.Tests(prefill=(128, 512), decode=(0, 2048), batch=(1, 8), steps=16, threads=2)
        runs = engines.LlamaCpp("x", ["/opt/"], "/models").runs("int4", tests)
        commands = [" ".join(run.command) for run in runs]
        self.assertEqual(len(commands), 4)
        self.assertIn("/opt/llama-bench -m /models/q4_0.gguf -t 2", commands[0])
        self.assertIn("-p 128,512 -n 0", commands[0])
        self.assertIn("-d 2048", commands[2])
        self.assertIn("-npl 1,8", commands[3])
        self.assertIn("-c 2048 ", commands[3])
        self.assertEqual([run.memory for run in runs], [True, False, False, False])
        self.assertEqual(engines.LlamaCpp("x", ["/opt/"], "/models").runs("int4", engines.Tests()), [])

    def test_a_fork_is_asked_for_a_depth_in_its_own_words(self):
        runs = engines.LlamaCpp("ik", ["/opt/"], "/models", "ik_llama.cpp").runs("int8", engines.Tests(decode=(0, 2048)))
        self.assertIn("-p 0 -n 16", " ".join(runs[0].command))
        self.assertIn("-gp 2048,16", " ".join(runs[1].command))

    def test_peers_by_path(self):
        with tempfile.TemporaryDirectory() as folder:
            with self.assertRaises(ValueError):
                engines.parse_peer(f"a={folder}")
            for program in ["llama-bench", "llama-batched-bench"]:
                (pathlib.Path(folder) / program).touch()
            self.assertEqual(engines.parse_peer(f"a={folder}"), ("a", [f"{folder}/"], "llama.cpp"))
            self.assertEqual(engines.parse_peer(f"b=ik_llama.cpp:{folder}"), ("b", [f"{folder}/"], "ik_llama.cpp"))
            for text in ["a", f"={folder}", f"a=other:{folder}"]:
                with self.assertRaises(ValueError):
                    engines.parse_peer(text)


class Ratios(unittest.TestCase):
    def test_a_disturbed_sample_counts_only_where_there_is_no_quiet_one(self):
        self.assertEqual(ratios.median([sample("a", 10), sample("a", 2, other=0.5)]), 10)
        self.assertEqual(ratios.median([sample("a", 4, other=0.5), sample("a", 2, other=0.5)]), 3)

    def test_ratios_are_of_the_same_round(self):
        ours = [sample("a", 10, 1), sample("a", 20, 2), sample("a", 33, 3)]  # the machine's modes change
        theirs = [sample("b", 5, 1), sample("b", 10, 2), sample("b", 11, 3, other=0.3)]
        self.assertEqual(ratios.paired_ratio(ours, theirs), 2)
        self.assertEqual(ratios.paired_ratio([sample("a", 9, 1)], [sample("b", 3, 2)]), 3)

    def test_table(self):
        samples = [sample(ratios.OURS, 85), sample("llama.cpp", 12.7), sample("ik", 52, other=0.2), sample("ik", 9, test="decode", size=0),
                   sample(ratios.OURS, 5e9, test="memory", size=0)]
        table = ratios.tables(samples)
        self.assertIn("| int8 against q8_0 | qwen-thinking | ik | ratio | llama.cpp | ratio |", table)
        self.assertIn("| prefill, 512 tokens | 85.0 (best 85.0) | 52.0 (best 52.0) * | 1.63 | 12.7 (best 12.7) | 6.69 | 30 GB/s, 800 Gop/s |", table)
        self.assertIn("| decode, depth 0 | – | 9.0 (best 9.0) | – | – | – |", table)
        self.assertIn("| peak memory, GB | 5.00 |", table)
        self.assertEqual(len({line.count("|") for line in table.splitlines()}), 1)
        self.assertEqual(ratios.tables([]), "")


class PerformanceTable(unittest.TestCase):
    def report(self, form, **changes):
        entry = {"tokens_per_second": 85.25, "share": 0.704, "ceiling": 121.1, "other_load": 0.01, "runs": [{}] * 5}
        return {"format": form, "cpu": "Some CPU", "threads": 2, "parameters": 4022468096, "date": "2026-01-02T03:04:05Z", "load_seconds": 1.234,
                "peak_resident_bytes": 5.2e9, "weight_bytes": 4.1e9, "prefill": [{**entry, "tokens": 2048}],
                "decode": [{**entry, "depth": 0, "tokens_per_second": 9.876}], "batch": [], **changes}

    def test_one_column_a_format_with_machine_and_date(self):
        table = performance_table.performance_table([self.report("int8"), self.report("int4", decode=[])])
        for part in ["Some CPU, 2 threads, 4.02 billion parameters, 2026-01-02, medians of 5 runs", "| test | int8 | int4 |",
                     "| prefill, 2,048 tokens | 85.2 (70 % of 121.1) | 85.2 (70 % of 121.1) |", "| decode, depth 0 | 9.88 (70 % of 121.10) | – |",
                     "| load, s | 1.23 | 1.23 |", "| peak memory, GB | 5.20 | 5.20 |"]:
            self.assertIn(part, table)

    def test_disturbed_figures_are_marked(self):
        self.assertNotIn("*", performance_table.performance_table([self.report("int8")]))
        report = self.report("int8")
        report["decode"][0]["other_load"] = 0.2
        table = performance_table.performance_table([report])
        self.assertIn("| decode, depth 0 | 9.88 (70 % of 121.10) * |", table)
        self.assertTrue(table.endswith("\\* Other processes took more than 5 % of the machine meanwhile."), table)

    def test_two_machines_do_not_mix(self):
        with self.assertRaises(ValueError):
            performance_table.performance_table([self.report("int8"), self.report("int4", cpu="Other CPU")])


class Running(unittest.TestCase):
    def test_a_run_is_measured(self):
        outcome = compare.execute(engines.Run((sys.executable, "-c", "import os; print(os.environ['X']); x = bytearray(1 << 26)"), None, (("X", "y"),)))
        self.assertEqual((outcome.status, outcome.stdout), (0, "y\n"))
        self.assertGreater(outcome.peak_resident_bytes, 1 << 26)
        self.assertGreaterEqual(outcome.other_load, 0)
        self.assertEqual(compare.execute(engines.Run((sys.executable, "-c", "import sys; sys.exit(3)"), None)).status, 3)

    def test_skip_is_visible_without_a_peer(self):
        with tempfile.TemporaryDirectory() as work:
            result = subprocess.run([sys.executable, "-B", PEERS / "compare.py", "--binary", "x", "--model", "x", "--work", work, "--no-debian"],
                                    capture_output=True, text=True, check=False)
            self.assertEqual((result.returncode, result.stderr), (77, "SKIP: no peer is at hand\n"))

    def test_skip_without_root_says_why(self):
        if os.geteuid() == 0:
            self.skipTest("runs as root")
        with tempfile.TemporaryDirectory() as work:
            result = subprocess.run([PEERS / "debian_llama.sh", work, "install"], capture_output=True, text=True, check=False)
            self.assertEqual(result.returncode, 77)
            self.assertTrue(result.stderr.startswith("SKIP: "), result.stderr)

    def test_without_a_mirror_it_says_so(self):
        with tempfile.TemporaryDirectory() as folder:
            programs = pathlib.Path(folder) / "programs"
            programs.mkdir()
            for name, text in {"id": "echo 0", "debootstrap": "exit 1", "apt-cache": "echo 'Package files: none'"}.items():
                (programs / name).write_text(f"#!/bin/sh\n{text}\n", encoding="utf-8")
                (programs / name).chmod(0o755)
            environment = {**os.environ, "PATH": f"{programs}:{os.environ['PATH']}"}
            result = subprocess.run([PEERS / "debian_llama.sh", f"{folder}/root", "install"], capture_output=True, text=True, check=False, env=environment)
            self.assertEqual((result.returncode, result.stderr), (77, "SKIP: apt knows no Debian mirror\n"))
            result = subprocess.run([sys.executable, "-B", PEERS / "compare.py", "--binary", "x", "--model", "x", "--work", folder], capture_output=True,
                                    text=True, check=False, env=environment)
            self.assertEqual((result.returncode, result.stderr), (77, "compare.py: without Debian's llama.cpp: apt knows no Debian mirror\n"
                                                                      "SKIP: no peer is at hand\n"))

    def test_a_peer_that_dies_without_a_word_is_named(self):
        with tempfile.TemporaryDirectory() as folder:
            script = pathlib.Path(folder) / "debian_llama.sh"
            script.write_text("#!/bin/sh\nexit 3\n", encoding="utf-8")
            script.chmod(0o755)
            here, compare.HERE, error = compare.HERE, pathlib.Path(folder), io.StringIO()
            self.addCleanup(setattr, compare, "HERE", here)
            with contextlib.redirect_stderr(error):
                self.assertIsNone(compare.debian(pathlib.Path(folder), pathlib.Path(folder)))
            self.assertEqual(error.getvalue(), "compare.py: without Debian's llama.cpp: debian_llama.sh ended with exit status 3\n")

    def test_wrong_options_are_named(self):
        for wrong in (["--formats", "int3"], ["--prefill", "x"], ["--peer", "a"]):
            error = io.StringIO()
            with contextlib.redirect_stderr(error), self.assertRaises(SystemExit):
                sys.argv = ["compare.py", "--binary", "x", "--model", "x", "--work", "x", *wrong]
                compare.arguments()


if __name__ == "__main__":
    unittest.main()
