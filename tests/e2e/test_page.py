"""The page at `/` in a real browser: chat, the fold with the thought, stop, errors, settings, languages, narrow screens, hostile text."""

import json
import unittest

import harness
import page_browser
from page_proxy import PageProxy

HOSTILE = ('<img src=x onerror="window.hacked=1"><script>window.hacked=1</script> **bold** '
           '[click](javascript:window.hacked=1) [good](https://example.com/a) <b>no</b>')


class PageTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.service = harness.Service(harness.needs_demo())
        cls.addClassCleanup(cls.service.close)
        cls.proxy = PageProxy(cls.service)
        cls.addClassCleanup(cls.proxy.close)
        cls.page = page_browser.Browser()
        cls.addClassCleanup(cls.page.close)

    def setUp(self):
        self.proxy.reset()
        self.page.size(1280, 900)
        self.page.open(self.proxy.address)
        self.page.js("localStorage.clear(); sessionStorage.clear()")
        self.page.open(self.proxy.address)
        self.page.complaints()
        self.expected_complaints = 0

    def tearDown(self):
        complaints = self.page.complaints()
        self.assertEqual(len(complaints), self.expected_complaints, complaints)
        self.assertFalse(self.page.js("return 'hacked' in window"))


class Chat(PageTest):
    def test_straight_from_the_service(self):
        self.page.open(f"http://127.0.0.1:{self.service.port}/")
        self.assertEqual(self.page.ask("358 + 467 = ?"), "825")

    def test_thought_streams_then_folds_with_length_and_time(self):
        page = self.page
        self.proxy.pace = 0.03
        page.send("358 + 467 = ?")
        page.wait_for_state("thinking")
        self.assertTrue(page.one(".thought").get_property("open"))
        self.assertRegex(page.text(".thought-label"), r"^Thinking… [\d.]+ m?s$")
        length = len(page.text(".thought-text"))
        page.wait(lambda: len(page.text(".thought-text")) > length, "the thought to grow")
        page.wait_for_state("done")
        self.assertFalse(page.one(".thought").get_property("open"))
        self.assertRegex(page.text(".thought-label"), r"^Thought for \d+\.\d s$")
        self.assertRegex(page.text(".thought-length"), r"^\d+ tokens$")
        self.assertEqual(page.text(".answer"), "825")
        self.assertRegex(page.text(".figures"), r"^\d+ tokens · [\d.,]+ tokens/s · \d+\.\d s in all$")
        page.one(".thought summary").click()
        self.assertIn("5+6+1=12", page.one(".thought-text").text)  # visible text only

    def test_a_fold_that_was_opened_stays_open(self):
        page = self.page
        self.proxy.pace = 0.03
        page.send("358 + 467 = ?")
        page.wait_for_state("thinking")
        page.one(".thought summary").click()
        self.assertFalse(page.one(".thought").get_property("open"))
        page.one(".thought summary").click()
        page.wait_for_state("done")
        self.assertTrue(page.one(".thought").get_property("open"))

    def test_answer_now_is_asked_for_while_it_thinks(self):
        page = self.page
        self.proxy.pace = 0.05
        self.proxy.script = [("events", [{"reasoning_content": "hm "}] * 60 + [{"content": "825"}])]
        self.proxy.control_script = [409]  # it may ask again
        self.expected_complaints = 1
        self.assertFalse(page.all(".answer-now"))
        page.send("358 + 467 = ?")
        page.wait_for_state("thinking")
        button = page.one(".answer-now")
        self.assertEqual((button.is_displayed(), button.text), (True, "Answer now"))
        button.click()
        page.wait(lambda: len(self.proxy.controls) == 1 and button.is_enabled(), "the refusal")
        button.click()
        page.wait(lambda: len(self.proxy.controls) == 2, "the second wish")
        self.assertEqual(self.proxy.controls, ["/requests/page-1/finish_thinking"] * 2)
        self.assertFalse(button.is_enabled())
        page.wait_for_state("done")
        self.assertFalse(button.is_displayed())

    def test_stop_by_button_and_by_escape(self):
        page = self.page
        self.proxy.pace = 0.05
        for stop in (lambda: page.one("#stop").click(), lambda: page.one("body").send_keys("\ue00c")):
            page.send("What is AES?")
            page.wait_for_state("answering")
            stop()
            page.wait_for_state("stopped")
            self.assertIn("You stopped", page.text(".notice"))
            partial = page.text(".answer")
            self.assertTrue(0 < len(partial) < 100, partial)
            page.wait(lambda: self.service.request("GET", "/health").status == 200, "the service")
        self.proxy.pace = 0
        self.assertEqual(page.ask("358 + 467 = ?"), "825")  # goes on after it

    def test_regenerate_edit_and_new_conversation(self):
        page = self.page
        page.ask("1 + 2 = ?")
        page.ask("358 + 467 = ?")
        self.assertEqual([m["role"] for m in self.proxy.requests[-1]["messages"]], ["user", "assistant", "user"])
        page.one(".exchange:last-of-type .actions button:last-child").click()
        page.wait(lambda: len(self.proxy.requests) == 3, "the second answer")
        page.wait_for_state("done")
        self.assertEqual(len(page.all(".exchange")), 2)
        self.assertEqual(self.proxy.requests[2]["messages"], self.proxy.requests[1]["messages"])
        page.one(".exchange:last-of-type .question button").click()
        self.assertEqual(page.one("#message").get_property("value"), "358 + 467 = ?")
        self.assertEqual(len(page.all(".exchange")), 1)
        page.one("#new").click()
        self.assertEqual(len(page.all(".exchange")), 0)
        self.assertTrue(page.one("#welcome").is_displayed())

    def test_conversation_survives_a_reload(self):
        page = self.page
        page.ask("358 + 467 = ?")
        page.open(self.proxy.address)
        self.assertEqual(page.text(".answer"), "825")
        self.assertRegex(page.text(".thought-length"), r"tokens$")

    def test_what_is_stored_is_checked(self):
        """Nothing in the tab's storage keeps the page from starting."""
        page = self.page
        fields = ("thought", "state", "finish", "usage", "budget", "error", "times")
        values = (None, 1, -1.5, "x", [], {}, {"code": 1, "first": "a", "completion_tokens": "b"}, {"completion_tokens": 3, "code": None})
        strange = [{"question": "a", "answer": "b", "state": state, "thought": "c", field: value}
                   for field in fields for value in values for state in ("done", "failed")]
        stored = [None, 1, "x", [], {}, {"question": "a"}, {"question": 1, "answer": "b"}, {"question": "a", "answer": "b", "times": None}, *strange]
        page.js("sessionStorage.setItem('conversation', arguments[0])", json.dumps(stored))
        page.open(self.proxy.address)
        self.assertEqual(len(page.all(".exchange")), 1 + len(strange))
        self.assertEqual(page.all(".exchange[data-state=thinking]"), [])
        for text in ("{}", "[", "null", "7"):
            page.js("sessionStorage.setItem('conversation', arguments[0])", text)
            page.open(self.proxy.address)
            self.assertEqual(page.all(".exchange"), [])
        self.assertEqual(page.ask("358 + 467 = ?"), "825")

    def test_demo_says_so_and_offers_problems_that_it_solves(self):
        page = self.page
        self.assertIn("demonstration", page.text("#demo-notice"))
        self.assertTrue(page.one("#badge-demo").is_displayed())
        for example, answer in (("17 × 24", "408"), ("Caesar cipher", "k h o o r"), ("Sort", "7, 15, 28, 42, 93")):
            next(b for b in page.all(".example") if example in b.text).click()
            page.wait(lambda: page.all(".exchange"), "the example to be sent")
            page.wait_for_state("done")
            self.assertEqual(page.text(".answer"), answer)
            page.one("#new").click()

    def test_enter_while_composing_does_not_send(self):
        page = self.page
        page.one("#message").send_keys("你好")
        page.js("""const enter = (more) => document.getElementById('message').dispatchEvent(
                     new KeyboardEvent('keydown', {key: 'Enter', bubbles: true, cancelable: true, ...more}));
                   enter({isComposing: true}); enter({keyCode: 229}); enter({shiftKey: true});""")
        self.assertEqual(len(page.all(".exchange")), 0)
        page.js("document.getElementById('message').dispatchEvent(new KeyboardEvent('keydown', {key: 'Enter', bubbles: true}))")
        page.wait(lambda: page.all(".exchange"), "the message to be sent")
        page.wait_for_state("done")

    def test_length_limit_is_told(self):
        page = self.page
        page.module("const {lasting} = await import('/assets/storage.js'); lasting.save('settings', {max_length: 10});")
        page.open(self.proxy.address)
        page.ask("358 + 467 = ?")
        self.assertIn("still thinking", page.text(".notice"))


class Trouble(PageTest):
    def error(self):
        self.page.wait_for_state("failed")
        return self.page.text(".problem strong"), self.page.text(".problem p")

    def test_lost_connection_and_retry(self):
        page = self.page
        self.proxy.script = [("cut", 2)]
        page.send("358 + 467 = ?")
        self.assertEqual(self.error()[0], "The connection was lost")
        page.one(".problem-actions button:first-child").click()
        page.wait_for_state("done")
        self.assertEqual(page.text(".answer"), "825")
        self.assertEqual(len(page.all(".exchange")), 1)

    def test_the_services_own_words(self):
        message = "temperature must be from 0 to 2"
        self.proxy.script = [("status", 400, {"error": {"message": message, "type": "t", "param": None, "code": "invalid_value"}}, {})]
        self.page.send("hello")
        self.assertIn(message, self.error()[1])
        self.expected_complaints = 1  # the browser's own line for the 400

    def test_loading_is_shown_and_waited_for(self):
        page = self.page
        self.proxy.health = {"status": "loading", "progress": 0.25}
        self.proxy.script = [("status", 503, {"error": {"message": "loading", "type": "t", "param": None, "code": "loading"}}, {})]
        page.send("358 + 467 = ?")
        page.wait(lambda: "25 %" in page.text(".waiting"), "the progress of loading")
        self.proxy.health = None
        page.wait_for_state("done")
        self.assertEqual(page.text(".answer"), "825")
        page.complaints()  # the browser's own lines for each 503

    def test_busy_is_tried_again(self):
        page = self.page
        busy = {"error": {"message": "full", "type": "t", "param": None, "code": "server_overloaded"}}
        self.proxy.script = [("status", 503, busy, {"Retry-After": "1"})]
        page.send("358 + 467 = ?")
        page.wait(lambda: "Trying again" in page.text(".waiting"), "the wait to be told")
        page.wait_for_state("done")
        self.assertEqual(page.text(".answer"), "825")
        self.expected_complaints = 1

    def test_badge_follows_the_service(self):
        page = self.page
        self.proxy.health = {"status": "loading", "progress": 0.5}
        page.driver.get(self.proxy.address)
        page.wait(lambda: "50 %" in page.text("#badge-state"), "the badge to say how far")
        self.proxy.health = None
        page.wait(lambda: page.all(".badge[data-state=healthy]"), "the badge to turn")
        self.assertEqual(page.text("#badge-name"), "demo")
        page.complaints()


class HostileText(PageTest):
    def test_html_in_thought_and_answer_is_text(self):
        page = self.page
        self.proxy.script = [("events", [{"reasoning_content": HOSTILE}, {"content": HOSTILE}])]
        page.ask("show me")
        self.assertIn('<img src=x onerror="window.hacked=1">', page.text(".answer"))
        self.assertEqual(page.text(".thought-text"), HOSTILE)
        self.assertEqual(page.all(".answer img, .answer script, .answer b, .thought img, .thought script"), [])
        self.assertEqual(page.text(".answer strong"), "bold")
        self.assertEqual([a.get_attribute("href") for a in page.all(".answer a")], ["https://example.com/a"])
        self.assertIn("noopener", page.one(".answer a").get_attribute("rel"))
        self.assertIn("[click](javascript:window.hacked=1)", page.text(".answer"))

    def test_markup_in_the_question_is_text(self):
        self.page.send(HOSTILE)
        self.page.wait_for_state("done")
        self.assertEqual(self.page.text(".question-text"), HOSTILE)
        self.assertEqual(self.page.all(".question img, .question strong"), [])


class Markdown(PageTest):
    def render(self, text):
        return self.page.module("""const {MarkdownView} = await import('/assets/markdown.js');
            const box = document.createElement('div'); new MarkdownView(box).show(args[0]); return box.innerHTML;""", text)

    def test_blocks(self):
        for text, html in (
                ("# Title #\ntext", "<h3>Title</h3><p>text</p>"),
                ("a\nb\n\nc", "<p>a<br>b</p><p>c</p>"),
                ("- a\n- b\n  - c\n- d", "<ul><li>a</li><li>b<ul><li>c</li></ul></li><li>d</li></ul>"),
                ("3. a\n4. b", '<ol start="3"><li>a</li><li>b</li></ol>'),
                ("1. a\n\n   more\n2. b", "<ol><li><p>a</p><p>more</p></li><li><p>b</p></li></ol>"),
                ("> a\n> b", "<blockquote><p>a<br>b</p></blockquote>"),
                ("a\n\n---\n\nb", "<p>a</p><hr><p>b</p>"),
                ("| a | b |\n|---|--:|\n| 1 | `x|y` |", "<th scope=\"col\">a</th>|<td class=\"align-right\"><code>x|y</code></td>"),
                ("2024 was\n7. a number", "<p>2024 was<br>7. a number</p>"),
                ("\\[\n\\foo^2_1\n\\]", "\\foo^2_1</div>")):
            for part in html.split("|<") if "|<" in html else [html]:
                self.assertIn(part, self.render(text), text)

    def test_inline(self):
        for text, html in (
                ("**a** *b* ***c*** _d_ ~~e~~", "<strong>a</strong> <em>b</em> <strong><em>c</em></strong> <em>d</em> <del>e</del>"),
                ("snake_case_name 2*3*4 a * b", "snake_case_name 2<em>3</em>4 a * b"),
                ("**加粗**文字", "<strong>加粗</strong>文字"),
                ("`a*b*` ``c`d``", "<code>a*b*</code> <code>c`d</code>"),
                (r"\*a\* \(\foo x_1*y*\) $\foo_b$ $5 and $6", r'*a* <span class="math">\foo x_1*y*</span> <span class="math">\foo_b</span> $5 and $6'),
                ("**open", "**open"), ("`open", "`open"), ("[a](", "[a]("),
                ("![p](https://e.com/p.png)", ">p</a>"),
                ("see https://e.com/a_b).", '>https://e.com/a_b</a>).')):
            self.assertIn(html, self.render(text), text)

    def test_formulas(self):
        for tex, mathml in (
                (r"\boxed{42}", '<mrow class="boxed"><mn>42</mn></mrow>'),
                (r"\frac{a}{b_1}", "<mfrac><mi>a</mi><msub><mi>b</mi><mn>1</mn></msub></mfrac>"),
                (r"x^{-1}", "<msup><mi>x</mi><mrow><mo>−</mo><mn>1</mn></mrow></msup>"),
                (r"\sum_{i=1}^n i", "<munderover>"), (r"\sqrt[3]{x}", "<mroot><mi>x</mi><mn>3</mn></mroot>"),
                (r"\left(\frac12\right)", '<mfrac><mn>1</mn><mn>2</mn></mfrac>'),
                (r"\begin{cases} a & b \\ c & d \end{cases}", "<mtr><mtd><mi>c</mi></mtd><mtd><mi>d</mi></mtd></mtr>"),
                (r"\mathbb{Z} \times \varphi(n)", "<mi mathvariant=\"normal\">ℤ</mi><mo>×</mo><mi>φ</mi>"),
                (r"\text{<img src=x>}", "<mtext>&lt;img src=x&gt;</mtext>"),
                (r"\href{javascript:x}{y}", r'class="math">\href{javascript:x}{y}</span>'),
                (r"\frac{a}{", r'class="math">\frac{a}{</span>'),
                ("{" * 200 + "}" * 200, "{" * 200)):
            self.assertIn(mathml, self.render(rf"\({tex}\)"), tex)

    def test_code_is_kept_as_it_is(self):
        code = "if (a < b) {\n\n    // **x**\n}"
        for tail in ("\n```", ""):  # closed, and still being written
            self.page.module("const {MarkdownView} = await import('/assets/markdown.js'); const box = document.createElement('div');"
                             "box.id = 'probe'; document.body.append(box); new MarkdownView(box).show(args[0]);", f"```js\n{code}{tail}")
            self.assertEqual(self.page.text("#probe pre code"), code)
            self.page.js("document.getElementById('probe').remove()")

    def test_any_prefix_renders_and_unchanged_blocks_stay(self):
        text = "# A\n\n- x\n  - `y`\n\n```c\nz\n```\n\n| a | b |\n|---|---|\n| [l](https://e.com) | **m** |\n\n> q $x$ \\(y\\) ~~s~~\n\nend"
        kept = self.page.module("""const {MarkdownView} = await import('/assets/markdown.js');
            const box = document.createElement('div'); const view = new MarkdownView(box); let first = null;
            for (let i = 0; i <= args[0].length; i += 1) { view.show(args[0].slice(0, i)); if (i === 10) first = box.firstChild; }
            const whole = document.createElement('div'); new MarkdownView(whole).show(args[0]);
            return [box.firstChild === first, box.innerHTML === whole.innerHTML];""", text)
        self.assertEqual(kept, [True, True])

    def test_growing_text_is_shown_like_the_whole(self):
        for text in ("\\[\nx\n\\]\n\n\\[ a\n\nb \\]\n\nc", "1. a\n\n10. b\n\n   c\n\nd\n\n- e\n\n  f\n\n-g\n", "a\r\n\r\n\tb\r\rc\n\n| d |\n|-|\n\n| e",
                     "```\na\n\nb\n```\nc\n\n> d\n\n> e\nf\n\n---\n\n# g\n\n* * *\n\n$$\nh\n$$", "\\[ a\n# b\nc \\]\n\n$$ d\n> e\n\n$$\n\nf"):
            differing = self.page.module("""const {MarkdownView} = await import('/assets/markdown.js');
                const view = new MarkdownView(document.createElement('div')); const differing = [];
                const check = (text) => { view.show(text); const whole = new MarkdownView(document.createElement('div')); whole.show(text);
                  if (view.element.innerHTML !== whole.element.innerHTML) differing.push(text); };
                for (let i = 0; i <= args[0].length; i += 1) check(args[0].slice(0, i));
                check('else'); check('');
                return differing;""", text)
            self.assertEqual(differing, [])

    def test_long_answer_is_not_read_again_for_each_frame(self):
        seconds = self.page.module("""const {MarkdownView} = await import('/assets/markdown.js');
            const view = new MarkdownView(document.createElement('div')); const start = performance.now(); let text = '';
            for (let i = 0; i < 4000; i += 1) view.show(text += 'A paragraph with *some* `words` and a [link](https://e.com).\\n\\n');
            return (performance.now() - start) / 1000;""")
        self.assertLess(seconds, 4 * harness.PATIENCE)

    def test_time_does_not_explode(self):
        slowest = self.page.module("""const {MarkdownView} = await import('/assets/markdown.js');
            const times = {};
            for (const piece of ['*a ', '**', '_a', '`', '``a', '[', '[a](', '![', '<', '$a', '\\\\(', '> ', '- ', '  - a\\n', '| a ', '#', '~~a ',
                                 '```\\n', '|-', 'https://', '*a_b', '(', ' ', '\\t', '\\n', '1. ', '$$', '\\\\[ a\\n\\n', '\\\\[ a\\n# h\\n', '$$ a\\n> b\\n', ' $a']) {
              const start = performance.now();
              new MarkdownView(document.createElement('div')).show(piece.repeat(20000));
              times[piece] = performance.now() - start;
            }
            for (const text of [' $a'.repeat(60000) + '$', '|\\n' + ' '.repeat(60000) + 'a|-', '\\\\[ a\\n# h\\n'.repeat(20000) + '\\\\] b']) {
              const start = performance.now();
              new MarkdownView(document.createElement('div')).show(text);
              times[text.slice(0, 8) + '…'] = performance.now() - start;
            }
            return times;""")
        self.assertIsInstance(slowest, dict, slowest)
        self.assertLess(max(slowest.values()), 1500 * harness.PATIENCE, slowest)

    def test_events_are_read_however_they_are_cut(self):
        self.assertEqual(self.page.module("""const {readEvents} = await import('/assets/sse.js');
            const bytes = new TextEncoder().encode(': hi\\n\\ndata: {"a":"思考"}\\r\\n\\r\\ndata:1\\ndata: 2\\n\\nevent: x\\n\\ndata: cut');
            const results = [];
            for (let size = 1; size < 9; size += 1) {
              const stream = new ReadableStream({ start(c) {
                for (let i = 0; i < bytes.length; i += size) c.enqueue(bytes.slice(i, i + size));
                c.close(); } });
              const events = []; for await (const event of readEvents(stream)) events.push(event);
              results.push(JSON.stringify(events));
            }
            return [...new Set(results)];"""), [json.dumps(['{"a":"思考"}', "1\n2"], ensure_ascii=False, separators=(",", ":"))])


class Preferences(PageTest):
    def open_settings(self):
        self.page.one("#open-settings").click()
        self.page.wait(lambda: self.page.one("#settings").is_displayed(), "the settings")

    def fill(self, name, text):
        field = self.page.one(f"#set-{name}")
        field.clear()
        field.send_keys(text)

    def test_settings_are_sent_kept_and_reset(self):
        page = self.page
        page.ask("1 + 2 = ?")
        self.assertEqual(set(self.proxy.requests[-1]), {"messages", "stream", "stream_options"})  # defaults are the service's
        self.open_settings()
        self.assertEqual(page.one("#set-temperature").get_attribute("placeholder"), "0.6")
        for name, text in (("temperature", "0.8"), ("top_p", "0.5"), ("max_length", "300"), ("seed", "7"), ("thinking_budget", "40"),
                           ("system", "Be brief")):
            self.fill(name, text)
        page.one("#settings-close").click()
        page.open(self.proxy.address)
        page.ask("1 + 2 = ?")
        sent = self.proxy.requests[-1]
        wanted = {"temperature": 0.8, "top_p": 0.5, "max_completion_tokens": 300, "seed": 7, "thinking_budget": 40}
        self.assertEqual({name: sent.get(name) for name in wanted}, wanted)
        self.assertEqual(sent["messages"][0], {"role": "system", "content": "Be brief"})
        self.open_settings()
        self.assertEqual(page.one("#set-seed").get_property("value"), "7")
        page.one("#settings-reset").click()
        self.assertEqual(page.one("#set-seed").get_property("value"), "")
        page.one("#settings-close").click()
        page.ask("2 + 2 = ?")
        self.assertNotIn("seed", self.proxy.requests[-1])

    def test_depth_is_a_budget_and_thinking_can_be_off(self):
        page = self.page
        self.open_settings()
        page.js("const s = document.getElementById('set-thinking_depth'); s.value = 3; s.dispatchEvent(new Event('input'))")
        self.assertIn("768", page.text("#depth-text"))
        page.one("#settings-close").click()
        page.ask("1 + 2 = ?")
        self.assertEqual(self.proxy.requests[-1]["thinking_budget"], 768)
        self.open_settings()
        page.one("#set-thinking").click()
        page.one("#settings-close").click()
        page.ask("358 + 467 = ?")
        self.assertEqual(self.proxy.requests[-1]["chat_template_kwargs"], {"enable_thinking": False})
        self.assertNotIn("thinking_budget", self.proxy.requests[-1])
        self.assertFalse(page.one(".thought").is_displayed())

    def test_a_value_out_of_range_is_marked_and_not_taken(self):
        page = self.page
        self.open_settings()
        self.fill("temperature", "9")
        self.assertTrue(page.one("#error-temperature").is_displayed())
        self.assertEqual(page.one("#set-temperature").get_attribute("aria-invalid"), "true")
        page.one("#settings-close").click()
        page.ask("1 + 2 = ?")
        self.assertNotIn("temperature", self.proxy.requests[-1])

    def test_key_is_sent_and_kept_in_the_tab_only(self):
        page = self.page
        self.open_settings()
        self.fill("key", "secret\t")
        page.one("#settings-close").click()
        page.ask("1 + 2 = ?")
        self.assertEqual(self.proxy.authorization, "Bearer secret")
        self.assertNotIn("secret", page.js("return JSON.stringify(localStorage)"))

    def test_language_switch_is_kept(self):
        page = self.page
        page.ask("1 + 2 = ?")
        self.assertEqual(page.js("return document.documentElement.lang"), "en")
        page.one("#language").click()
        self.assertEqual(page.js("return document.documentElement.lang"), "zh-CN")
        self.assertIn("思考了", page.text(".thought-label"))
        self.assertEqual(page.one("#message").get_attribute("placeholder"), "问点什么…")
        page.open(self.proxy.address)
        self.assertEqual(page.text("#badge-state"), "就绪")

    def test_a_chinese_browser_sees_chinese(self):
        chinese = page_browser.Browser("zh-CN")
        self.addCleanup(chinese.close)
        chinese.open(self.proxy.address)
        self.assertIn("演示模型", chinese.text("#demo-notice"))
        self.assertEqual(chinese.ask("358 + 467 等于多少？"), "825")
        self.assertEqual(chinese.complaints(), [])


class Layout(PageTest):
    def test_no_sideways_scrolling_on_a_phone(self):
        page = self.page
        wide = "```\n" + "x" * 300 + "\n```\n\n| " + " | ".join("column" for _ in range(12)) + " |\n|" + "---|" * 12 + "\n\n" + "y" * 300
        self.proxy.script = [("events", [{"reasoning_content": "z" * 300}, {"content": wide}])]
        page.ask("w" * 300)
        page.one(".thought summary").click()
        for width in (320, 390, 768):
            page.size(width, 700)
            for element in ("document.documentElement", "document.getElementById('scroller')"):
                self.assertLessEqual(page.js(f"return {element}.scrollWidth - {element}.clientWidth"), 0, f"{element} at {width}")
            for selector in ("#send", "#open-settings", "#message"):
                box = page.js("const b = document.querySelector(arguments[0]).getBoundingClientRect(); return [b.left, b.right, b.bottom]", selector)
                self.assertTrue(box[0] >= 0 and box[1] <= width and box[2] <= 700, f"{selector} at {width}: {box}")
        page.size(320, 400)
        page.js("document.getElementById('scroller').scrollTop = 0")
        page.wait(lambda: page.one("#latest").is_displayed(), "the way back to the end")
        page.one("#latest").click()
        page.wait(lambda: not page.one("#latest").is_displayed(), "the end")
        page.one("#open-settings").click()
        self.assertLessEqual(page.js("const d = document.getElementById('settings'); return d.scrollWidth - d.clientWidth"), 0)

    def test_everything_has_a_name(self):
        self.page.ask("1 + 2 = ?")
        nameless = self.page.js("""return [...document.querySelectorAll('button, input, textarea')]
            .filter((e) => !(e.getAttribute('aria-label') || e.textContent.trim() || e.labels?.length)).map((e) => e.outerHTML)""")
        self.assertEqual(nameless, [])

    def test_text_has_contrast_in_light_and_dark(self):
        page = self.page
        page.ask("1 + 2 = ?")
        for scheme in ("light", "dark"):
            page.driver.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": [{"name": "prefers-color-scheme", "value": scheme}]})
            ratios = page.js("""
                const style = getComputedStyle(document.documentElement);
                const light = (name) => { const hex = style.getPropertyValue(name).trim().slice(1);
                  const [r, g, b] = [0, 2, 4].map((i) => parseInt(hex.slice(i, i + 2), 16) / 255)
                    .map((c) => c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4);
                  return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
                const result = {};
                for (const [text, ...grounds] of [['--text', '--background', '--surface', '--raised', '--accent-soft', '--bad-soft'],
                    ['--muted', '--background', '--surface', '--raised'], ['--accent', '--surface', '--background', '--accent-soft'],
                    ['--bad', '--bad-soft', '--background'], ['--busy', '--background'], ['--on-accent', '--accent']])
                  for (const ground of grounds) {
                    const [a, b] = [light(text), light(ground)].sort((x, y) => y - x);
                    result[text + ' on ' + ground] = (a + 0.05) / (b + 0.05);
                  }
                return result;""")
            for pair, ratio in ratios.items():
                self.assertGreaterEqual(ratio, 4.5, f"{scheme}: {pair}")


if __name__ == "__main__":
    page_browser.needs_browser()
    harness.main()
