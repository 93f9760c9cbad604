"""`completion`: what the shells make of the scripts."""

import shutil
import subprocess
import tempfile
import pathlib
import re
import unittest

import harness


def script(shell):
    result = harness.run("completion", shell)
    if result.returncode != 0:
        raise AssertionError(result.stderr)
    return result.stdout


class Completion(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def write(self, name, shell):
        (self.folder / name).write_text(script(shell), encoding="utf-8")
        return self.folder / name

    def told(self, *command):
        result = subprocess.run(command, capture_output=True, text=True, cwd=self.folder, timeout=60 * harness.PATIENCE)
        self.assertEqual((result.returncode, result.stderr), (0, ""))
        return result.stdout.split()

    def bash(self, *words):
        line = " ".join(f"'{word}'" for word in words)
        return self.told("bash", "-c", f". ./bash; COMP_WORDS=({line}); COMP_CWORD={len(words) - 1}; _qwen_thinking; echo ${{COMPREPLY[@]}}")

    def test_bash(self):
        self.write("bash", "bash")
        self.assertEqual(self.bash("qwen-thinking", "se"), ["serve"])
        self.assertIn("pull", self.bash("qwen-thinking", ""))
        self.assertEqual(self.bash("qwen-thinking", "serve", "--max-num-s"), ["--max-num-seqs"])
        self.assertIn("quality", self.bash("qwen-thinking", "bench", "q"))
        self.assertEqual(self.bash("qwen-thinking", "serve", "--model", "m"), [], "a file's name")

    def test_every_command_and_flag_of_the_help_is_there(self):
        text = script("bash")
        commands = re.findall(r"^  ([a-z]+)  ", harness.run("--help").stdout.split("Subcommands:")[1], re.MULTILINE)
        self.assertGreater(len(commands), 10)
        for command in commands:
            words = re.search(rf"^      {command}\) words='(.*)' ;;$", text, re.MULTILINE).group(1).split()
            flags = re.findall(r"(?:^  |,)(--[a-z0-9-]+)", harness.run(command, "--help").stdout, re.MULTILINE)
            self.assertLessEqual(set(flags), set(words), command)

    @unittest.skipIf(shutil.which("zsh") is None, "zsh is absent")
    def test_zsh(self):
        self.write("_qwen-thinking", "zsh")
        self.assertEqual(self.told("zsh", "-fc", "autoload -U compinit; compinit -D; . ./_qwen-thinking; echo $_comps[qwen-thinking]"), ["_qwen-thinking"])

    @unittest.skipIf(shutil.which("fish") is None, "fish is absent")
    def test_fish(self):
        path = self.write("it.fish", "fish")
        self.assertIn("--max-num-seqs", self.told("env", f"HOME={self.folder}", "fish", "-c", f"source {path}; complete -C 'qwen-thinking serve --max-num-s'"))

    def test_another_shell(self):
        result = harness.run("completion", "tcsh")
        self.assertEqual((result.returncode, result.stderr.count("\n")), (2, 1))


if __name__ == "__main__":
    harness.main()
