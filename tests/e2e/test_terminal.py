"""`generate` and `chat`: through pipes and on a pseudo-terminal."""

import json
import os
import pty
import select
import signal
import time
import unittest

import harness

DIM, NORMAL = "\033[2m", "\033[0m"


class Generate(unittest.TestCase):
    def generate(self, *flags, stdin=""):
        result = harness.run("generate", "--model", harness.needs_demo(), *flags, stdin=stdin)
        self.assertEqual(result.returncode, 0, result.stderr)
        return result.stdout

    def test_the_same_seed_gives_the_same_answer_as_the_service(self):
        answer = self.generate("--prompt", "什么是AES加密算法？", "--seed", 5)
        self.assertEqual(answer, self.generate("--seed", 5, stdin="什么是AES加密算法？"))
        with harness.Service(harness.needs_demo()) as service:
            served = service.post("/generate", {"prompt": "什么是AES加密算法？", "seed": 5}).json()
        self.assertEqual(answer, served["generated_text"] + "\n")
        printed = json.loads(self.generate("--prompt", "什么是AES加密算法？", "--seed", 5, "--json"))
        for key in ("generated_text", "prompt", "token_count", "finish_reason", "usage"):
            self.assertEqual(printed[key], served[key])

    def test_flags_of_sampling(self):
        self.assertEqual(json.loads(self.generate("--prompt", "a", "--max-length", 2, "--json"))["token_count"], 2)
        greedy = {self.generate("--prompt", "2+2", "--temperature", 0, "--seed", seed, "--max-length", 30) for seed in range(3)}
        self.assertEqual(len(greedy), 1)

    def test_the_thought_stays_out_of_a_pipe(self):
        flags = ["--prompt", "7+8", "--thinking", "--seed", 1, "--max-length", 400]
        whole = json.loads(self.generate(*flags, "--json"))
        self.assertTrue(whole["reasoning"])
        self.assertEqual(self.generate(*flags).rstrip("\n"), whole["generated_text"])

    def test_the_weights_format_is_chosen_as_in_serve(self):
        for flags, variable, format in (([], "none", "none"), ([], "", "int8"), (["--quantization", "int4"], "none", "int4")):
            result = harness.run("generate", "--model", harness.needs_demo(), "--prompt", "hi", "--json", *flags,
                                 env=harness.environment(QUANTIZATION_FORMAT=variable))
            self.assertEqual(result.returncode, 0, result.stderr)
            self.assertEqual(json.loads(result.stdout)["model_info"]["quantization"], format)

    def test_raw_takes_the_prompt_as_it_stands(self):
        prompt = "<|im_start|>user\n什么是AES加密算法？<|im_end|>\n<|im_start|>assistant\n<think>\n\n</think>\n\n"
        raw = self.generate("--raw", "--prompt", prompt, "--seed", 5)
        self.assertEqual(raw, self.generate("--prompt", "什么是AES加密算法？", "--seed", 5))
        refused = harness.run("generate", "--model", harness.needs_demo(), "--prompt", "a", "--raw", "--system", "b")
        self.assertEqual((refused.returncode, refused.stdout), (2, ""))

    def test_a_prompt_that_is_too_long_is_an_error(self):
        result = harness.run("generate", "--model", harness.needs_demo(), "--max-model-len", 64, "--prompt", "word " * 500)
        self.assertEqual((result.returncode, result.stderr.count("\n")), (1, 1), result.stderr)


class ChatThroughPipes(unittest.TestCase):
    def test_each_line_is_a_message(self):
        flags = ["chat", "--model", harness.needs_demo(), "--seed", 3, "--max-length", 60, "--no-thinking"]
        one = harness.run(*flags, stdin="什么是AES加密算法？\n")
        self.assertEqual((one.returncode, one.stderr), (0, ""))
        # A forgotten conversation answers as a new one.
        again = harness.run(*flags, stdin="什么是AES加密算法？\n/reset\n\n什么是AES加密算法？\n/exit\nnever read\n")
        self.assertEqual((again.returncode, again.stdout), (0, one.stdout * 2))
        helped = harness.run(*flags, stdin="/help\n/nonsense\n")
        self.assertIn("/reset", helped.stderr)
        self.assertIn("/nonsense", helped.stderr)

    def test_the_history_is_what_the_template_makes_of_it(self):
        flags = ["--seed", 3, "--max-length", 40, "--no-thinking"]
        both = harness.run("chat", "--model", harness.needs_demo(), *flags, stdin="什么是哈希函数？\n什么是AES加密算法？\n")
        first = harness.run("chat", "--model", harness.needs_demo(), *flags, stdin="什么是哈希函数？\n").stdout
        second = both.stdout[len(first):].rstrip("\n")
        conversation = [{"role": "user", "content": "什么是哈希函数？"}, {"role": "assistant", "content": first.rstrip("\n")},
                        {"role": "user", "content": "什么是AES加密算法？"}]
        with harness.Service(harness.needs_demo()) as service:
            answer = service.post("/v1/chat/completions", {"messages": conversation, "seed": 3, "max_tokens": 40,
                                                           "chat_template_kwargs": {"enable_thinking": False, "thinking": False}}).json()
        self.assertEqual(second, answer["choices"][0]["message"]["content"])


class Terminal:
    """The program on a pseudo-terminal of its own."""

    def __init__(self, *arguments):
        self.pid, self.master = pty.fork()
        if self.pid == 0:
            os.execve(harness.BINARY, [harness.BINARY, *map(str, arguments)], harness.environment(TERM="xterm"))
        self.seen = ""

    def read_until(self, condition, seconds=60):
        end = time.monotonic() + seconds * harness.PATIENCE
        while not condition(self.seen):
            if time.monotonic() > end:
                raise AssertionError(f"not seen in time: {self.seen!r}")
            if select.select([self.master], [], [], 0.1)[0]:
                try:
                    self.seen += os.read(self.master, 65536).decode("utf-8", "replace")
                except OSError:  # the program ended
                    break
        return self.seen

    def write(self, text):
        os.write(self.master, text.encode())

    def status(self):
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def has_pseudo_terminals():
    try:
        for end in os.openpty():
            os.close(end)
    except OSError:
        return False
    return True


@unittest.skipUnless(has_pseudo_terminals(), "this machine gives no pseudo-terminals (is /dev/pts mounted?)")
class ChatOnATerminal(unittest.TestCase):
    def start(self, model, *flags):
        terminal = Terminal("chat", "--model", model, "--seed", 1, *flags)

        def end():
            os.close(terminal.master)
            try:
                os.kill(terminal.pid, signal.SIGKILL)
                os.waitpid(terminal.pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass

        self.addCleanup(end)
        terminal.read_until(lambda seen: seen.rstrip(" ").endswith(">"))
        return terminal

    def test_the_thought_is_dim(self):
        terminal = self.start(harness.needs_demo(), "--max-length", 400)
        terminal.write("7+8\n")
        seen = terminal.read_until(lambda seen: NORMAL in seen and seen.endswith("> "))
        self.assertLess(seen.index(DIM), seen.index(NORMAL))
        terminal.write("\x04")  # Ctrl-D
        self.assertEqual(terminal.status(), 0)

    def test_ctrl_c_stops_an_answer_and_not_the_program(self):
        never = lambda config: config.update(eos_token_id=0)
        with harness.changed_model(harness.needs_demo(), generation_config=never, config=never) as model:
            terminal = self.start(model)
            terminal.write("12+30\n")
            terminal.read_until(lambda seen: "12+30" in seen and len(seen.split("12+30", 1)[1]) > 200)
            terminal.write("\x03")
            terminal.read_until(lambda seen: "(stopped)" in seen and seen.endswith("> "))
            # At the prompt: once asks, twice leaves.
            terminal.write("\x03")
            terminal.read_until(lambda seen: "/exit to leave" in seen and seen.endswith("> "))
            terminal.write("/exit\n")
            self.assertEqual(terminal.status(), 0)

    def test_ctrl_c_twice_at_the_prompt_leaves(self):
        terminal = self.start(harness.needs_demo())
        terminal.write("\x03")
        terminal.read_until(lambda seen: "/exit to leave" in seen and seen.endswith("> "))
        terminal.write("\x03")
        self.assertEqual(terminal.status(), 130)


if __name__ == "__main__":
    harness.main()
