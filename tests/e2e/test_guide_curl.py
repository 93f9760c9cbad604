"""The deployment guide's own curl lines and request examples, as it prints them, run by the real curl: every field that it shows is there, with
the type that it shows. Only host and port are not the guide's."""

import json
import re
import shlex
import shutil
import subprocess
import unittest

import harness

HOST = "localhost:8000"  # the guide's; replaced by the test's

# "1.4 验证部署", and the same lines again under "调试命令" and "升级": command → endpoint.
LINES = {
    "curl http://localhost:8000/health": "/health",
    "curl -v http://localhost:8000/health": "/health",
    "curl http://localhost:8000/model_info": "/model_info",
    '''curl -X POST "http://localhost:8000/generate" \\
  -H "Content-Type: application/json" \\
  -d '{
    "prompt": "什么是AES加密算法？",
    "max_length": 200,
    "temperature": 0.7
  }'
''': "/generate",
}

# "API 使用指南": the request examples.
EXAMPLES = {
    "/generate": '''{
  "prompt": "请解释RSA加密算法的工作原理",
  "max_length": 512,
  "temperature": 0.7,
  "top_p": 0.9,
  "do_sample": true
}''',
    "/thinking": '''{
  "question": "如何设计一个安全的密码存储系统？",
  "context": "需要考虑哈希算法、盐值和密码策略",
  "thinking_depth": 3,
  "include_reasoning": true
}''',
    "/batch_generate": '''{
  "prompts": [
    "什么是对称加密？",
    "什么是非对称加密？",
    "什么是哈希函数？"
  ],
  "max_length": 200,
  "temperature": 0.7
}''',
}

NUMBER = (int, float)  # JSON has one kind of number; where the guide shows a count, it is whole
GENERATE = {"generated_text": str, "prompt": str, "generation_time": NUMBER, "token_count": int,
            "model_info": {"model_type": str, "quantization": str}}
# "响应示例": what the guide's answers hold.
ANSWERS = {
    "/generate": GENERATE,
    "/thinking": {"question": str, "thinking_process": str, "final_answer": str, "reasoning_steps": [str], "confidence_score": NUMBER,
                  "processing_time": NUMBER},
    "/batch_generate": {"results": [GENERATE], "total_time": NUMBER, "total_tokens": int,
                        "model_info": {"model_type": str, "quantization": str}},
    "/health": {"status": str, "timestamp": str, "model_loaded": bool, "gpu_available": bool,
                "memory_usage": {"total_gb": NUMBER, "used_gb": NUMBER, "available_gb": NUMBER, "percent": NUMBER, "gpu_used_gb": NUMBER},
                "uptime_seconds": NUMBER},
    "/model_info": {"model_type": str, "architecture": str, "parameters": int, "quantization": str, "context_length": int, "vocab_size": int,
                    "dtype": str, "device": str, "kernels": str, "fingerprint": str, "template_family": str, "demo": bool,
                    "default_sampling": dict},
    "/stats": {"total_requests": int, "successful_requests": int, "failed_requests": int, "average_response_time": NUMBER,
               "model_memory_usage": NUMBER, "gpu_utilization": NUMBER, "uptime_hours": NUMBER},
}


@unittest.skipIf(shutil.which("curl") is None, "curl is absent")
class GuideCurl(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = harness.Service(harness.needs_demo())
        cls.addClassCleanup(cls.service.close)

    def curl(self, arguments):
        """Runs what stands after "curl" and returns the answer, which must be a 200 with JSON."""
        arguments = [argument.replace(HOST, f"localhost:{self.service.port}") for argument in arguments]
        result = subprocess.run(["curl", "-sS", "-w", "\n%{http_code} %{content_type}", *arguments], capture_output=True,
                                timeout=300 * harness.PATIENCE, env=harness.environment(no_proxy="localhost"))
        self.assertEqual(result.returncode, 0, result.stderr)
        body, _, outcome = result.stdout.decode("utf-8").rpartition("\n")
        self.assertEqual(outcome, "200 application/json", body)
        return json.loads(body)

    def post(self, path):
        return self.curl(["-X", "POST", f"http://{HOST}{path}", "-H", "Content-Type: application/json", "-d", EXAMPLES[path]])

    def check(self, value, shape, where):
        if isinstance(shape, dict):
            self.assertIsInstance(value, dict, where)
            for name, kind in shape.items():
                self.assertIn(name, value, where)
                self.check(value[name], kind, f"{where}.{name}")
        elif isinstance(shape, list):
            self.assertIsInstance(value, list, where)
            self.assertTrue(value, f"{where} is empty")
            for i, item in enumerate(value):
                self.check(item, shape[0], f"{where}[{i}]")
        else:
            self.assertIsInstance(value, shape, where)
            self.assertTrue(shape is bool or not isinstance(value, bool), where)

    def test_the_lines_as_typed(self):
        for line, path in LINES.items():
            with self.subTest(line=line):
                command, *arguments = shlex.split(line.replace("\\\n", " "))
                self.assertEqual(command, "curl")
                self.check(self.curl(arguments), ANSWERS[path], path)

    def test_the_request_examples(self):
        for path, body in EXAMPLES.items():
            with self.subTest(path=path):
                answer = self.post(path)
                self.check(answer, ANSWERS[path], path)
                asked = json.loads(body)
                for name in {"prompt", "question"} & set(asked):
                    self.assertEqual(answer[name], asked[name])

    def test_a_batch_answers_in_order(self):
        results = self.post("/batch_generate")["results"]
        self.assertEqual([result["prompt"] for result in results], json.loads(EXAMPLES["/batch_generate"])["prompts"])
        self.assertEqual([result["index"] for result in results], [0, 1, 2])

    def test_a_thought_is_measured(self):
        answer = self.post("/thinking")
        self.assertTrue(0 <= answer["confidence_score"] <= 1, answer)
        self.assertTrue(answer["thinking_process"].strip() and answer["final_answer"].strip(), answer)

    def test_stats_count_what_was_asked(self):
        before = self.curl([f"http://{HOST}/stats"])
        self.check(before, ANSWERS["/stats"], "/stats")
        self.post("/generate")
        self.service.post("/generate", {"prompt": ""})
        after = self.curl([f"http://{HOST}/stats"])
        self.assertGreaterEqual(after["successful_requests"], before["successful_requests"] + 1)
        self.assertGreaterEqual(after["failed_requests"], before["failed_requests"] + 1)
        self.assertEqual(after["total_requests"], after["successful_requests"] + after["failed_requests"])

    def test_every_endpoint_of_the_guide_is_tested(self):
        tested = set(LINES.values()) | set(EXAMPLES) | {"/stats"}
        self.assertEqual(tested, set(ANSWERS))
        self.assertTrue(all(re.fullmatch(r"/[a-z_]+", path) for path in tested))


class TheGuideItself(unittest.TestCase):
    def test_the_lines_are_the_guides(self):
        path = harness.SHARED.parent / "spec" / "deployment-guide.zh.md"
        if not path.exists():
            self.skipTest(f"{path} is absent")
        guide = path.read_text(encoding="utf-8")
        for text in (*LINES, *EXAMPLES.values()):
            self.assertIn(text.strip(), guide)
        curls = set(re.findall(r"^curl .*$", guide, re.MULTILINE))
        self.assertEqual(curls, {line.split("\n")[0] for line in LINES})


if __name__ == "__main__":
    harness.main()
