"""The bilingual question-and-answer set: each question in many wordings, one short answer per language."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from random import Random

FOLDER = Path(__file__).resolve().parent / "qa"
LANGUAGES = ("zh", "en")


@dataclass(frozen=True)
class Question:
    name: str
    language: str
    wordings: tuple[str, ...]
    thought: str
    answer: str


def _load(name: str) -> object:
    return json.loads((FOLDER / name).read_text(encoding="utf-8"))


def cryptography() -> list[Question]:
    forms = _load("forms.json")
    questions = []
    for item in _load("cryptography.json"):
        for language in LANGUAGES:
            entry = item[language]
            wordings = tuple(
                form.format(t=topic)
                for topic in entry["topics"]
                for form in forms[entry["form"]][language]
            )
            thought = "\n".join(entry["steps"])
            questions.append(Question(item["id"], language, wordings, thought, entry["answer"]))
    return questions


def unrelated() -> list[Question]:
    questions = []
    for language, entry in _load("unrelated.json").items():
        wordings = [form.format(t=topic) for topic in entry["topics"] for form in entry["forms"]]
        wordings += entry["extra"] * 5
        thought = "\n".join(entry["steps"])
        questions.append(Question("unrelated", language, tuple(wordings), thought, entry["answer"]))
    return questions


class QuestionSource:
    """Draws (question, wording), unrelated ones with a fixed share."""

    def __init__(self, unrelated_share: float = 0.15) -> None:
        self.known = cryptography()
        self.other = unrelated()
        self.unrelated_share = unrelated_share

    def draw(self, rng: Random) -> tuple[Question, str]:
        pool = self.other if rng.random() < self.unrelated_share else self.known
        question = rng.choice(pool)
        return question, _vary(rng, question, rng.choice(question.wordings))


CONTEXTS = {
    "zh": ("需要考虑哈希算法、盐值和密码策略", "请简短回答", "用于教学", "需要考虑安全性和性能", "面向初学者"),
    "en": ("Consider hash algorithms, salts and password policy", "Keep it short", "For beginners"),
}
CONTEXT_FORMS = {
    "zh": ("{q}\n\n{c}", "{c}\n\n{q}", "{q}\n{c}", "背景：{c}\n\n问题：{q}", "上下文：{c}\n问题：{q}"),
    "en": ("{q}\n\n{c}", "{c}\n\n{q}", "{q}\n{c}", "Context: {c}\n\nQuestion: {q}", "Context:\n{c}\n\nQuestion:\n{q}"),
}


def _vary(rng: Random, question: Question, wording: str) -> str:
    chance = rng.random()
    if chance < 0.10:
        wording = wording.rstrip("？?。.")
    elif chance < 0.15:
        wording = wording.replace("？", "?")
    elif chance < 0.20 and question.language == "en":
        wording = wording[0].lower() + wording[1:]
    if rng.random() < 0.15:
        language = question.language if rng.random() < 0.5 else rng.choice(LANGUAGES)
        form = rng.choice(CONTEXT_FORMS[language])
        wording = form.format(q=wording, c=rng.choice(CONTEXTS[question.language]))
    return wording
