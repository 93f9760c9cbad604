"""Text of a conversation as Qwen3's Thinking template renders it, cut into parts with and without loss."""

from __future__ import annotations

import json
from dataclasses import dataclass

CLOSING_SENTENCE = (
    "\n\nConsidering the limited time by the user, I have to give the solution "
    "based on the thinking directly now.\n</think>\n\n"
)
OPEN_THOUGHT = "<|im_start|>assistant\n<think>\n"
EMPTY_THOUGHT = "<|im_start|>assistant\n<think>\n\n</think>\n\n"

TOOLS_BEFORE = (
    "# Tools\n\nYou may call one or more functions to assist with the user query.\n\n"
    "You are provided with function signatures within <tools></tools> XML tags:\n<tools>"
)
TOOLS_AFTER = (
    "\n</tools>\n\nFor each function call, return a json object with function name and arguments "
    "within <tool_call></tool_call> XML tags:\n<tool_call>\n"
    '{"name": <function-name>, "arguments": <args-json-object>}\n</tool_call>'
)


@dataclass(frozen=True)
class Dialogue:
    """`prompt` + `given` is what the model sees; `target` is what it learns to write.

    With `cut` the target is thought and answer, and training cuts the thought at a random token
    and puts the closing sentence there.
    """

    prompt: str
    thought: str | None
    answer: str
    cut: bool = False

    def target(self) -> str:
        if self.thought is None:
            return f"{self.answer}<|im_end|>"
        return f"{self.thought}\n</think>\n\n{self.answer}<|im_end|>"


def turn(role: str, content: str) -> str:
    return f"<|im_start|>{role}\n{content}<|im_end|>\n"


def system_with_tools(system: str | None, tools: list[dict[str, object]]) -> str:
    listed = "".join("\n" + json.dumps(tool, ensure_ascii=False) for tool in tools)
    head = "" if system is None else system + "\n\n"
    return turn("system", head + TOOLS_BEFORE + listed + TOOLS_AFTER)


def tool_call(name: str, arguments: dict[str, str]) -> str:
    body = json.dumps({"name": name, "arguments": arguments}, ensure_ascii=False)
    return f"<tool_call>\n{body}\n</tool_call>"


def tool_response(text: str) -> str:
    return f"<|im_start|>user\n<tool_response>\n{text}\n</tool_response><|im_end|>\n"
