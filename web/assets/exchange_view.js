// What one exchange looks like: the question, the fold with the thought, the answer, what went wrong, and the figures under it.
import { finishThinking } from "./api.js";
import { copyText, icon, make } from "./dom.js";
import { running, thoughtSeconds } from "./exchange.js";
import { has, number, seconds, t } from "./language.js";
import { MarkdownView } from "./markdown.js";
import { ThoughtView } from "./thought_view.js";

const COPIED_MS = 1500;
const SHORTEST_WRITING = 0.25; // seconds

export class ExchangeView {
  // actions: {edit(), regenerate(), settings()}
  constructor(exchange, actions) {
    this.exchange = exchange;
    this.thought = new ThoughtView();
    this.answerNow = make("button", { type: "button", class: "answer-now", "data-t": "answer_now", hidden: true,
      onclick: () => this.#finishThinking() }, t("answer_now"));
    this.answer = make("div", { class: "answer" });
    this.markdown = new MarkdownView(this.answer);
    this.waiting = make("p", { class: "waiting" }, make("span", { class: "dots", "aria-hidden": "true" }), make("span"));
    this.notice = make("p", { class: "notice" });
    this.problem = this.#makeProblem(actions);
    this.figures = make("span", { class: "figures" });
    this.editButton = this.#button("edit", "edit", actions.edit);
    this.againButton = this.#button("again", "regenerate", actions.regenerate);
    this.copyButton = this.#button("copy", "copy", () => this.#copy());
    this.footer = make("footer", {}, make("span", { class: "actions" }, this.copyButton, this.againButton), this.figures);
    this.author = make("h2", { class: "visually-hidden", "data-t": "you" }, t("you"));
    this.element = make("article", { class: "exchange" },
      make("div", { class: "question" }, this.author, this.editButton, make("p", { class: "question-text" }, exchange.question)),
      make("div", { class: "reply" }, make("h2", { class: "visually-hidden", "data-t": "model" }, t("model")),
        this.thought.element, this.answerNow, this.waiting, this.answer, this.notice, this.problem, this.footer));
    this.show(false);
  }

  // `last`: only the last exchange can be changed or answered again.
  show(last) {
    const { exchange } = this;
    const busy = running(exchange);
    this.element.dataset.state = exchange.state;
    this.thought.show(exchange);
    this.answerNow.hidden = exchange.state !== "thinking" || !exchange.id;
    this.markdown.show(exchange.answer);
    this.#showWaiting();
    this.#showNotice();
    this.#showProblem();
    this.retryButton.hidden = !last;
    this.footer.hidden = busy || (exchange.state === "failed" && exchange.answer === "");
    this.copyButton.hidden = exchange.answer === "";
    this.againButton.hidden = this.editButton.hidden = !last || busy;
    this.figures.textContent = busy ? "" : figuresOf(exchange).join(" · ");
    this.figures.title = figuresTitle(exchange);
  }

  #showWaiting() {
    const { exchange } = this;
    this.waiting.hidden = exchange.state !== "waiting";
    if (this.waiting.hidden) return;
    const { retry, times } = exchange;
    const text = retry === null ? t("waiting", { time: seconds(times.total) })
      : retry.code === "loading" ? t("waiting_loading", { percent: retry.percent }) : t("waiting_busy", { count: retry.seconds });
    this.waiting.lastChild.textContent = text;
  }

  #showNotice() {
    const { state, finish, answer } = this.exchange;
    const key = state === "stopped" || finish === "cancelled" ? "stopped"
      : state !== "done" ? null
      : finish === "length" ? (answer ? "cut_answer" : "cut_thought")
      : answer.trim() ? null : "empty_answer";
    this.notice.hidden = key === null;
    this.notice.textContent = key ? t(key) : "";
  }

  #makeProblem(actions) {
    this.problemTitle = make("strong");
    this.problemText = make("p");
    this.retryButton = make("button", { type: "button", "data-t": "retry", onclick: actions.regenerate }, t("retry"));
    this.settingsButton = make("button", { type: "button", "data-t": "open_settings", onclick: actions.settings }, t("open_settings"));
    return make("div", { class: "problem", role: "alert", hidden: true }, this.problemTitle, this.problemText,
      make("div", { class: "problem-actions" }, this.retryButton, this.settingsButton));
  }

  #showProblem() {
    const { error } = this.exchange;
    this.problem.hidden = error === null;
    if (!error) return;
    const key = `error_${error.code}`;
    this.problemTitle.textContent = t(has(key) ? key : "error");
    const own = has(`${key}_text`) ? t(`${key}_text`) : "";
    this.problemText.textContent = [own, error.message].filter(Boolean).join(" ");
    this.settingsButton.hidden = !/key|unauthorized|invalid_value|context_length/.test(error.code);
  }

  #button(drawing, words, onclick) {
    return make("button", { type: "button", class: "quiet icon-button", title: t(words), "aria-label": t(words), "data-t-title": words,
      "data-t-aria-label": words, onclick }, icon(drawing));
  }

  // Where that is not possible any more, or not yet, the stream itself shows what happens; one may ask again.
  async #finishThinking() {
    this.answerNow.disabled = true;
    try {
      await finishThinking(this.exchange.id);
    } catch {
      this.answerNow.disabled = false;
    }
  }

  async #copy() {
    if (!(await copyText(this.exchange.answer))) return;
    this.copyButton.title = t("copied");
    this.copyButton.replaceChildren(icon("done"));
    setTimeout(() => {
      this.copyButton.title = t("copy");
      this.copyButton.replaceChildren(icon("copy"));
    }, COPIED_MS);
  }
}

// Tokens over the time from the first of them to the last: the speed of writing, without the wait for it. What came almost in
// one piece has no such time; there the whole time counts.
function figuresOf({ usage, times }) {
  const parts = [];
  if (usage) {
    parts.push(t("tokens", { count: number(usage.completion_tokens) }));
    const writing = times.total - (times.first ?? times.total);
    const rate = writing > SHORTEST_WRITING ? (usage.completion_tokens - 1) / writing : usage.completion_tokens / times.total;
    if (usage.completion_tokens > 0 && times.total > 0) parts.push(t("token_rate", { rate: number(rate, rate < 100 ? 1 : 0) }));
  }
  parts.push(t("in_total", { time: seconds(times.total) }));
  return parts;
}

function figuresTitle(exchange) {
  const parts = [];
  if (exchange.times.first !== null) parts.push(t("first_token", { time: seconds(exchange.times.first) }));
  if (exchange.thought) parts.push(t("thought", { time: seconds(thoughtSeconds(exchange)) }));
  return parts.join(" · ");
}
