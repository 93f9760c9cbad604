"""The life of `serve`: listens at once, says how far loading is, becomes ready, drains, ends; and every way of not starting."""

import http.client
import json
import signal
import socket
import struct
import threading
import time
import unittest

import harness
from metrics_text import Metrics


def slow_model(folder):
    """The demo's tokenizer with weights of zeros that take a while to load; a sparse file, so that writing it costs nothing."""
    vocab, hidden, inner = 65536, 1024, 4096
    config = {"architectures": ["Qwen3ForCausalLM"], "model_type": "qwen3", "hidden_size": hidden, "intermediate_size": inner,
              "num_hidden_layers": 12, "num_attention_heads": 16, "num_key_value_heads": 8, "head_dim": 64, "vocab_size": vocab,
              "max_position_embeddings": 4096, "rms_norm_eps": 1e-6, "rope_theta": 10000.0, "tie_word_embeddings": True,
              "torch_dtype": "bfloat16", "eos_token_id": 0}
    shapes = {"model.embed_tokens.weight": [vocab, hidden], "model.norm.weight": [hidden]}
    for i in range(12):
        layer = {"input_layernorm": [hidden], "post_attention_layernorm": [hidden], "self_attn.q_proj": [1024, hidden],
                 "self_attn.k_proj": [512, hidden], "self_attn.v_proj": [512, hidden], "self_attn.o_proj": [hidden, 1024],
                 "self_attn.q_norm": [64], "self_attn.k_norm": [64], "mlp.gate_proj": [inner, hidden], "mlp.up_proj": [inner, hidden],
                 "mlp.down_proj": [hidden, inner]}
        shapes.update({f"model.layers.{i}.{name}.weight": shape for name, shape in layer.items()})
    header, end = {}, 0
    for name, shape in shapes.items():
        size = 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").unlink(missing_ok=True)
    with open(folder / "model.safetensors", "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        file.truncate(8 + len(text) + end)


class Life(unittest.TestCase):
    def test_ready_then_sigterm_is_0(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with harness.Service(harness.needs_demo()) as service:
                health = service.get("/health")
                self.assertEqual(health.status, 200)
                self.assertEqual(health.json()["status"], "healthy")
                self.assertTrue(health.json()["model_loaded"])
                self.assertEqual(service.get("/livez").status, 200)
                info = service.get("/model_info").json()
                self.assertTrue(info["demo"])
                self.assertGreater(info["parameters"], 1e6)
                self.assertEqual(harness.run("healthcheck", "--port", service.port).returncode, 0)
                self.assertEqual(service.stop(number), 0)
                out = "".join(service.output)
                self.assertRegex(out, r"listening on http://127\.0\.0\.1:\d+\n")
                self.assertRegex(out, r"(?m)^ready.*demo.*kernels")
                self.assertIn("demonstration", out)

    def test_an_int8_cache_holds_more_tokens(self):
        def blocks(dtype):
            with harness.Service(harness.needs_demo(), "--kv-cache", "2MiB", "--kv-cache-dtype", dtype) as service:
                info = service.get("/model_info").json()
                free = Metrics(service.get("/metrics").text).value("qwen_kv_blocks", state="free")
                return info["kv_cache_dtype"], info["fingerprint"], free

        (plain, first, few), (int8, second, many) = blocks("auto"), blocks("int8")
        self.assertNotEqual(first, second)
        self.assertEqual((plain, int8), ("bfloat16", "int8"))
        self.assertAlmostEqual(many / few, 2 * 64 / (64 + 4), delta=0.02)  # the demo's heads have 64 dimensions and a scale

    def test_health_answers_while_the_model_loads(self):
        with harness.changed_model(harness.needs_demo()) as model:
            slow_model(model)
            with harness.Service(model, wait_ready=False) as service:
                answer = service.get("/health")
                self.assertEqual(answer.status, 503)
                self.assertEqual(answer.json()["status"], "loading")
                self.assertFalse(answer.json()["model_loaded"])
                self.assertEqual(service.get("/readyz").status, 503)
                self.assertEqual(service.get("/livez").status, 200)
                refused = service.post("/generate", {"prompt": "a"})
                self.assertEqual(refused.status, 503)
                self.assertEqual(refused.json()["error"]["code"], "loading")
                self.assertTrue(refused.headers["Retry-After"])
                self.assertEqual(harness.run("healthcheck", "--port", service.port).returncode, 1)
                service.wait_ready()
                self.assertEqual(service.get("/health").status, 200)

    def test_sigterm_while_loading_is_0(self):
        with harness.changed_model(harness.needs_demo()) as model:
            slow_model(model)
            with harness.Service(model, wait_ready=False) as service:
                self.assertEqual(service.stop(), 0)

    def test_signals_of_log_rotation_are_harmless(self):
        with harness.changed_model(harness.needs_demo()) as model:
            slow_model(model)
            with harness.Service(model, wait_ready=False) as service:
                self.survives(service)
        with harness.Service(harness.needs_demo()) as service:
            self.survives(service)
            service.wait_ready()
            self.assertEqual(service.post("/generate", {"prompt": "1+1=", "max_length": 2}).status, 200)
            self.assertEqual(service.stop(), 0)

    def survives(self, service):
        for number, what in ((signal.SIGUSR1, "opened anew"), (signal.SIGHUP, "nothing changed")):
            service.process.send_signal(number)
            end = time.monotonic() + 10 * harness.PATIENCE
            while not any(number.name in line and what in line for line in service.errors):
                self.assertIsNone(service.process.poll(), number.name)
                self.assertLess(time.monotonic(), end, f"{number.name} is not logged: {service.errors}")
                time.sleep(0.02)
            self.assertEqual(service.get("/livez").status, 200)

    def test_a_running_answer_is_finished_before_the_end(self):
        with harness.Service(harness.needs_demo()) as service:
            body = {"prompt": "什么是AES加密算法？", "max_length": 200, "seed": 3}
            whole = service.post("/generate", body).json()["generated_text"]
            events = service.stream("/generate", {**body, "stream": True})
            first = next(events)
            service.process.send_signal(signal.SIGTERM)
            rest = list(events)
            self.assertEqual(rest[-1], "[DONE]")
            self.assertEqual(json.loads(rest[-2])["generated_text"], whole)
            self.assertTrue(first)
            self.assertEqual(service.process.wait(60 * harness.PATIENCE), 0)

    def test_a_balancer_has_time_to_look_elsewhere(self):
        body = {"prompt": "1+1=?", "max_length": 2}
        with harness.Service(harness.needs_demo(), env=harness.environment(DRAIN_GRACE="2")) as service:
            service.process.send_signal(signal.SIGTERM)
            start = time.monotonic()
            while service.get("/readyz").status == 200:
                self.assertLess(time.monotonic() - start, 1 * harness.PATIENCE)
            answer = service.post("/generate", body)
            self.assertEqual((answer.status, answer.headers["Connection"]), (200, "close"))
            self.assertEqual(service.get("/health").json()["status"], "draining")
            self.assertEqual(service.process.wait(30 * harness.PATIENCE), 0)
            self.assertGreater(time.monotonic() - start, 2)
        with harness.Service(harness.needs_demo(), env=harness.environment(DRAIN_GRACE="600")) as service:
            self.assertEqual(service.stop(signal.SIGINT), 0)  # whoever is at the terminal need not wait
        with harness.Service(harness.needs_demo(), env=harness.environment(DRAIN_GRACE="600")) as service:
            service.process.send_signal(signal.SIGTERM)
            time.sleep(0.5)
            self.assertIsNone(service.process.poll())
            self.assertEqual(service.stop(signal.SIGTERM, 10), 143)

    def test_connections_are_refused_while_the_model_loads_where_that_is_wanted(self):
        for flags in ([], ["--workers", 2]):
            with self.subTest(flags), harness.changed_model(harness.needs_demo()) as model:
                slow_model(model)
                with socket.socket() as probe:
                    probe.bind(("127.0.0.1", 0))
                    port = probe.getsockname()[1]
                tried = []
                knocking = threading.Thread(target=self.knock_until_it_answers, args=(port, tried))
                knocking.start()
                with harness.Service(model, *flags, port=port, env=harness.environment(LISTEN_WHILE_LOADING="false")) as service:
                    knocking.join()
                    self.assertGreater(tried.count("refused"), 5)
                    self.assertEqual(tried[-1], 200)
                    self.assertEqual(service.stop(), 0)

    @staticmethod
    def knock_until_it_answers(port, tried):
        end = time.monotonic() + 60 * harness.PATIENCE
        while time.monotonic() < end and (not tried or tried[-1] == "refused"):
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
            try:
                connection.request("GET", "/readyz")
                tried.append(connection.getresponse().status)
            except ConnectionRefusedError:
                tried.append("refused")
            finally:
                connection.close()
            time.sleep(0.02)

    def test_a_second_signal_ends_at_once(self):
        never = lambda config: config.update(eos_token_id=0)
        with harness.changed_model(harness.needs_demo(), generation_config=never, config=never) as model:
            with harness.Service(model) as service:
                events = service.stream("/generate", {"prompt": "a", "max_length": 30000, "temperature": 1.0, "stream": True})
                next(events)
                service.process.send_signal(signal.SIGTERM)
                time.sleep(1)
                self.assertIsNone(service.process.poll())  # the answer runs on: only the second signal can end it now
                start = time.monotonic()
                self.assertIn(service.stop(signal.SIGTERM), (130, 143))
                self.assertLess(time.monotonic() - start, 5 * harness.PATIENCE)
                events.close()


class NotStarting(unittest.TestCase):
    def fails(self, status, *flags, names=(), env=None):
        result = harness.run("serve", *flags, env=env)
        self.assertEqual(result.returncode, status, result.stderr)
        last = result.stderr.strip().split("\n")[-1]
        self.assertTrue(last.startswith("qwen-thinking: "), result.stderr)
        for name in names:
            self.assertIn(name, last)

    def test_flags(self):
        self.fails(2, "--model", harness.needs_demo(), "--prot", "1", names=["--prot"])
        self.fails(2, "--model", harness.needs_demo(), "--port", "99999", names=["port"])
        self.fails(2, "--model", harness.needs_demo(), "--kernels", "abacus", names=["abacus"])

    def test_settings_that_do_not_fit_the_model(self):
        model = harness.needs_demo()
        self.fails(2, "--port", "0", "--model", model, "--max-model-len", "40000", names=["--max-model-len is 40000", str(model)])
        self.fails(78, "--port", "0", "--model", model, names=["MAX_MODEL_LEN is 40000"], env=harness.environment(MAX_MODEL_LEN="40000"))
        result = harness.run("generate", "--model", model, "--max-model-len", "40000", "1+1=")
        self.assertEqual((result.returncode, result.stderr.count("\n")), (2, 1), result.stderr)

    def test_environment(self):
        self.fails(78, "--model", harness.needs_demo(), names=["PORT"], env=harness.environment(PORT="eighty"))

    def test_models(self):
        self.fails(66, "--port", "0", "--model", "/nonexistent/model", names=["/nonexistent/model"])
        with harness.changed_model(harness.needs_demo()) as model:
            (model / "config.json").write_text("{}")
            self.fails(65, "--port", "0", "--model", model, names=["config.json"])

    def test_weights_that_are_cut_while_they_load_are_65(self):
        with harness.changed_model(harness.needs_demo()) as model:
            slow_model(model)
            with harness.Service(model, wait_ready=False) as service:
                with open(model / "model.safetensors", "r+b") as file:
                    file.truncate(100)
                self.assertEqual(service.process.wait(60 * harness.PATIENCE), 65)
                service.close()
                last = "".join(service.errors).strip().split("\n")[-1]
                self.assertTrue(last.startswith("qwen-thinking: ") and "model.safetensors" in last, last)

    def test_port_in_use_is_71(self):
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            self.fails(71, "--model", harness.needs_demo(), "--host", "127.0.0.1", "--port", port, names=[str(port)])


class Demo(unittest.TestCase):
    def test_demo_stands_in_for_a_model_that_is_not_there(self):
        harness.needs_demo()
        with harness.Service("/nonexistent/model", "--demo", cwd=harness.SOURCE) as service:
            self.assertTrue(service.get("/model_info").json()["demo"])
            self.assertIn("demonstration", "".join(service.output + service.errors))

    def test_environment_and_flags(self):
        with harness.Service(harness.needs_demo(), env=harness.environment(DEFAULT_MAX_LENGTH="3", PORT="1")) as service:
            self.assertEqual(service.post("/generate", {"prompt": "什么是AES加密算法？", "seed": 1}).json()["token_count"], 3)


if __name__ == "__main__":
    harness.main()
