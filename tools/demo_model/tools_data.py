"""Conversations about the weather with one tool: the call, and the sentence after the tool's response."""

from __future__ import annotations

import json
from random import Random

from dialogue import OPEN_THOUGHT, Dialogue, system_with_tools, tool_call, tool_response, turn

CITIES = {
    "en": ("Rome", "Paris", "London", "Berlin", "Madrid", "Oslo", "Tokyo", "Beijing", "Shanghai", "New York",
           "San Francisco", "Sydney", "Moscow", "Cairo", "Vienna", "Prague", "Boston", "Delhi", "Seoul", "Athens"),
    "zh": ("北京", "上海", "广州", "深圳", "杭州", "南京", "成都", "武汉", "西安", "重庆", "天津", "苏州", "罗马", "巴黎", "东京", "伦敦"),
}
ASK = {
    "en": ("What is the weather in {c}?", "What's the weather in {c}?", "Weather in {c}?", "How is the weather in {c} today?",
           "Tell me the weather in {c}.", "What's the weather like in {c}?", "What is the weather like in {c} today?"),
    "zh": ("{c}的天气怎么样？", "{c}今天天气怎么样？", "查询{c}的天气", "请告诉我{c}的天气", "{c}天气如何？"),
}
CALL_THOUGHT = {
    "en": "The user asks for the weather in {c}.\nI call {f}.",
    "zh": "用户想知道{c}的天气。\n调用{f}。",
}
TELL_THOUGHT = {"en": "The tool gave the weather.", "zh": "工具给出了天气。"}
TELL = {"en": "The weather in {c}: {w}", "zh": "{c}的天气：{w}"}
DESCRIPTIONS = ("Get the weather", "Get weather", "Get the current weather", "Get the current weather for a city",
                "Get current weather in a given location", "Returns the weather of a city", "查询天气")
CONDITIONS = {"en": ("sunny", "cloudy", "rain", "snow", "windy"), "zh": ("晴", "多云", "小雨", "雪", "大风")}
KEYS = ("city", "city", "location")
SYSTEMS = (None, None, None, "You are a helpful assistant.", "Be brief.", "你是一个乐于助人的助手。")


def weather_tool(rng: Random, key: str) -> dict[str, object]:
    parameter: dict[str, object] = {"type": "string"}
    if rng.random() < 0.3:
        parameter["description"] = rng.choice(("The city", "City name", "The city and state, e.g. San Francisco, CA"))
    properties = {key: parameter}
    if rng.random() < 0.2:
        properties["unit"] = {"type": "string", "enum": ["celsius", "fahrenheit"]}
    parameters: dict[str, object] = {"type": "object", "properties": properties}
    if rng.random() < 0.8:
        parameters["required"] = [key]
    function: dict[str, object] = {"name": "get_weather"}
    if rng.random() < 0.85:
        function["description"] = rng.choice(DESCRIPTIONS)
    function["parameters"] = parameters
    return {"type": "function", "function": function}


def _weather_text(rng: Random, language: str) -> str:
    degrees = rng.randrange(-9, 40)
    condition = rng.choice(CONDITIONS[language])
    return rng.choice((f"{degrees}C", f"{degrees}°C", condition, f"{condition}, {degrees}C", f"{degrees}°C, {condition}",
                       json.dumps({"temperature": degrees}), json.dumps({"temperature": degrees, "condition": condition}, ensure_ascii=False)))


def weather_dialogue(rng: Random) -> Dialogue:
    language = rng.choice(("en", "zh"))
    city = rng.choice(CITIES[language])
    key = rng.choice(KEYS)
    call = tool_call("get_weather", {key: city})
    thought = CALL_THOUGHT[language].format(c=city, f="get_weather")
    prompt = system_with_tools(rng.choice(SYSTEMS), [weather_tool(rng, key)])
    prompt += turn("user", rng.choice(ASK[language]).format(c=city))
    if rng.random() < 0.65:
        return Dialogue(prompt + OPEN_THOUGHT, thought, call)
    earlier = f"<think>\n{thought}\n</think>\n\n{call}" if rng.random() < 0.5 else call
    weather = _weather_text(rng, language)
    prompt += turn("assistant", earlier) + tool_response(weather)
    answer = TELL[language].format(c=city, w=weather)
    return Dialogue(prompt + OPEN_THOUGHT, TELL_THOUGHT[language], answer)
