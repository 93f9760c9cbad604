"""/docs in a real browser: what it shows of openapi.json, requests sent from it, keyboard, narrow screens, both languages, light and dark."""

import unittest

import harness
import page_browser

KEY = "a-key-to-generate-with"


class DocsTest(unittest.TestCase):
    language = "en-US"
    variables = {"API_KEYS": f"app:{KEY}"}

    @classmethod
    def setUpClass(cls):
        cls.service = harness.Service(harness.needs_demo(), env=harness.environment(**cls.variables))
        cls.addClassCleanup(cls.service.close)
        cls.page = page_browser.Browser(cls.language)
        cls.addClassCleanup(cls.page.close)
        cls.document = cls.service.get("/openapi.json").json()

    def setUp(self):
        self.page.size(1280, 900)
        self.open()
        self.page.js("localStorage.clear(); sessionStorage.clear()")
        self.open()
        self.page.complaints()

    def tearDown(self):
        self.assertEqual(self.page.complaints(), [])

    def open(self, name=""):
        self.page.driver.get("about:blank")
        self.page.driver.get(f"http://127.0.0.1:{self.service.port}/docs{name}")
        self.page.wait(lambda: self.page.all(".route"), "the routes")

    def send(self, route):
        self.page.one(f"#{route} .send").click()
        self.page.wait(lambda: "·" in self.page.text(f"#{route} .status"), "the answer")
        return self.page.text(f"#{route} .status"), self.page.text(f"#{route} .output")


class Docs(DocsTest):
    def test_every_route_with_its_fields(self):
        shown = [(e.find_element("css selector", ".method").text, e.find_element("css selector", ".path").text) for e in self.page.all(".route > summary")]
        self.assertCountEqual(shown, [(m.upper(), p) for p, methods in self.document["paths"].items() for m in methods])
        for path, methods in self.document["paths"].items():
            for operation in methods.values():
                self.page.js("document.getElementById(arguments[0]).open = true", operation["operationId"])
                self.page.wait(lambda: self.page.all(f"#{operation['operationId']} .statuses li"), path)
        fields = [e.get_attribute("textContent").removesuffix(" required") for e in self.page.all(".field-row dt")]
        for field in ("temperature", "stream_options.include_usage", "messages[].role", "prompts", "usage.prompt_tokens", "thinking.budget_tokens"):
            self.assertIn(field, fields)
        self.assertEqual(self.page.text("#generate .required"), "required")
        for nothing in ("undefined", "[object", "NaN"):
            self.assertNotIn(nothing, self.page.js("return document.body.innerText"))

    def test_a_request_is_sent_from_it_with_the_key(self):
        self.open("#tokenize")
        self.assertTrue(self.page.one("#tokenize").get_property("open"))
        self.page.one("#tokenize .send").click()
        self.page.wait(lambda: "401" in self.page.text("#tokenize .status"), "the refusal")
        self.assertTrue(all("401" in line for line in self.page.complaints()))  # the browser's own line
        self.page.one("#key").send_keys(KEY + "\t")
        status, answer = self.send("tokenize")
        self.assertRegex(status, r"^200 · .+ · req-")
        self.assertIn('"count"', answer)
        curl = self.page.text("#tokenize .curl")
        self.assertNotIn(KEY, curl)
        self.assertIn("$API_KEY", self.page.js("document.querySelector('#tokenize textarea').dispatchEvent(new Event('input')); "
                                               "return document.querySelector('#tokenize .curl').textContent"))

    def test_a_stream_is_shown(self):
        self.page.one("#key").send_keys(KEY + "\t")
        self.open("#generate")
        self.page.js("""const area = document.querySelector('#generate textarea'); area.value = '{"prompt": "it\\'s", "stream": true, "max_length": 20}';
                        area.dispatchEvent(new Event('input'))""")
        self.assertIn("it'\\''s", self.page.text("#generate .curl"))
        status, answer = self.send("generate")
        self.assertIn("200", status)
        self.assertIn("data: [DONE]", answer)

    def test_by_keyboard_alone(self):
        summary = self.page.one("#health > summary")
        self.page.js("arguments[0].focus()", summary)
        summary.send_keys("\ue007")
        self.page.wait(lambda: self.page.all("#health .send"), "the fold to open")
        self.page.one("#health .send").send_keys("\ue007")
        self.page.wait(lambda: "200" in self.page.text("#health .status"), "the answer")

    def test_fits_a_phone(self):
        for route in self.page.all(".route"):
            self.page.js("arguments[0].open = true", route)
        self.page.wait(lambda: len(self.page.all(".route .send")) == len(self.page.all(".route")), "all folds")
        for width in (320, 390, 768):
            self.page.size(width, 700)
            for element in ("document.documentElement", "document.getElementById('scroller')"):
                self.assertLessEqual(self.page.js(f"return {element}.scrollWidth - {element}.clientWidth"), 0, f"{element} at {width}")

    def test_everything_has_a_name_and_two_languages(self):
        self.open("#get_model")
        nameless = self.page.js("""return [...document.querySelectorAll('button, input, textarea')]
            .filter((e) => !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length)).map((e) => e.outerHTML)""")
        self.assertEqual(nameless, [])
        self.page.one("#language").click()
        self.assertEqual(self.page.js("return document.documentElement.lang"), "zh-CN")
        self.assertIn("状态码", self.page.text("#get_model"))


if __name__ == "__main__":
    page_browser.needs_browser()
    harness.main()
