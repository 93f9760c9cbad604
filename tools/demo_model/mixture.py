"""The training mixture: problems with thoughts, questions and answers, and what the product does to a model."""

from __future__ import annotations

from collections.abc import Iterator
from random import Random

from dialogue import EMPTY_THOUGHT, OPEN_THOUGHT, Dialogue, system_with_tools, turn
from kinds import KINDS
from problem import Problem
from questions import QuestionSource
from tools_data import weather_dialogue, weather_tool

KIND_WEIGHTS = {
    "add": 1.0,
    "sub": 1.1,
    "mul": 1.0,
    "div": 0.9,
    "compare": 1.2,
    "count": 1.3,
    "reverse": 1.4,
    "caesar": 1.7,
    "sort": 1.4,
    "modpow": 1.5,
}
QUESTION_SHARE = 0.15
WEATHER_SHARE = 0.02
DIRECT_QUESTION_SHARE = 0.55
DIRECT_PROBLEM_SHARE = 0.02
CUT_SHARE = 0.04
SYSTEM_SHARE = 0.05
HISTORY_SHARE = 0.05
IDLE_TOOL_SHARE = 0.01

SYSTEMS = (
    "You are a helpful assistant.",
    "Be brief.",
    "You are a careful assistant. Think before you answer.",
    "You are Qwen, created by Alibaba Cloud. You are a helpful assistant.",
    "你是一个乐于助人的助手。",
    "请用中文回答。",
    "Answer briefly.",
)


def training_problem(rng: Random, kind: str) -> Problem:
    """A problem that is not held out."""
    while True:
        problem = KINDS[kind](rng)
        if not problem.held_out():
            return problem


class Mixture:
    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.questions = QuestionSource()
        self.names = list(KIND_WEIGHTS)
        self.weights = list(KIND_WEIGHTS.values())

    def __iter__(self) -> Iterator[Dialogue]:
        while True:
            yield self.draw()

    def draw(self) -> Dialogue:
        chance = self.rng.random()
        if chance < WEATHER_SHARE:
            return weather_dialogue(self.rng)
        if chance < WEATHER_SHARE + QUESTION_SHARE:
            question, wording = self.questions.draw(self.rng)
            return self._dialogue(wording, question.thought, question.answer, DIRECT_QUESTION_SHARE)
        problem = self._problem()
        return self._dialogue(problem.prompt, problem.thought, problem.answer, DIRECT_PROBLEM_SHARE)

    def _problem(self) -> Problem:
        return training_problem(self.rng, self.rng.choices(self.names, self.weights)[0])

    def _dialogue(self, user: str, thought: str, answer: str, direct_share: float) -> Dialogue:
        prompt = self._opening() + turn("user", user)
        if self.rng.random() < direct_share:
            return Dialogue(prompt + EMPTY_THOUGHT, None, answer)
        cut = self.rng.random() < CUT_SHARE
        return Dialogue(prompt + OPEN_THOUGHT, thought, answer, cut)

    def _opening(self) -> str:
        opening = ""
        if self.rng.random() < IDLE_TOOL_SHARE:
            system = self.rng.choice((None, *SYSTEMS))
            opening = system_with_tools(system, [weather_tool(self.rng, "city")])
        elif self.rng.random() < SYSTEM_SHARE:
            opening = turn("system", self.rng.choice(SYSTEMS))
        if self.rng.random() < HISTORY_SHARE:
            for _ in range(self.rng.choice((1, 1, 2))):
                opening += self._earlier_round()
        return opening

    def _earlier_round(self) -> str:
        if self.rng.random() < 0.5:
            question, wording = self.questions.draw(self.rng)
            return turn("user", wording) + turn("assistant", question.answer)
        problem = self._problem()
        return turn("user", problem.prompt) + turn("assistant", problem.answer)
