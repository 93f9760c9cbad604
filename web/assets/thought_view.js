// The fold with the model's thought: open while it is being written, folded when the answer begins, unless the person has opened
// or closed it meanwhile. Its summary says how long the thought took and how long it is.
import { make } from "./dom.js";
import { thoughtSeconds } from "./exchange.js";
import { number, seconds, t } from "./language.js";

export class ThoughtView {
  #shown = ""; // of the thought
  #characters = 0; // of those
  #touched = false; // the person decides from here on

  constructor() {
    this.label = make("span", { class: "thought-label" });
    this.length = make("span", { class: "thought-length" });
    this.text = make("div", { class: "thought-text", tabindex: "0" });
    this.summary = make("summary", { onclick: () => { this.#touched = true; } }, this.label, this.length);
    this.element = make("details", { class: "thought", hidden: true }, this.summary, this.text);
  }

  show(exchange) {
    const { thought, state, usage, budget } = exchange;
    this.element.hidden = thought === "";
    if (thought === "") return;
    this.#append(thought);
    const thinking = state === "thinking";
    if (!this.#touched && this.element.open !== thinking) this.element.open = thinking;
    this.element.classList.toggle("active", thinking);
    const key = thinking ? "thinking" : exchange.answer || exchange.finish ? "thought" : "thought_stopped";
    this.label.textContent = t(key, { time: seconds(thoughtSeconds(exchange)) });
    const tokens = usage?.completion_tokens_details?.reasoning_tokens;
    const length = tokens ? t("tokens", { count: number(tokens) }) : t("characters", { count: number(this.#characters) });
    const used = tokens && budget !== null && tokens >= budget ? ` · ${t("budget_reached")}` : "";
    this.length.textContent = length + used;
  }

  // Adds and counts only what is new: a long thought is not gone through again for each word.
  #append(thought) {
    if (thought === this.#shown) return;
    const atEnd = this.text.scrollHeight - this.text.scrollTop - this.text.clientHeight < 40;
    const grows = thought.startsWith(this.#shown) && this.text.firstChild !== null;
    const added = grows ? thought.slice(this.#shown.length) : thought;
    if (grows) this.text.firstChild.appendData(added);
    else this.text.replaceChildren(document.createTextNode(thought));
    this.#characters = (grows ? this.#characters : 0) + [...added].length;
    this.#shown = thought;
    if (atEnd) this.text.scrollTop = this.text.scrollHeight;
  }
}
