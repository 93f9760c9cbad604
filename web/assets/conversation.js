// The conversation on the screen: a list of exchanges, at most one of them being answered. Kept in this tab over a reload.
import { messagesOf, newExchange, restored, running } from "./exchange.js";
import { ExchangeView } from "./exchange_view.js";
import { generate } from "./generation.js";
import { t } from "./language.js";
import { ofThisTab } from "./storage.js";

const NEAR_END_PX = 80;

export class Conversation {
  #views = [];
  #abort = null;
  #frame = 0;

  // parts: {list, scroller, latest, announcer}: elements. ask: {fields(), system()} of the settings.
  // notify: {busy(running), edit(text), settings()}
  constructor(parts, ask, notify) {
    this.parts = parts;
    this.ask = ask;
    this.notify = notify;
    parts.scroller.addEventListener("scroll", () => this.#showLatestButton(), { passive: true });
    const sizes = new ResizeObserver(() => this.#showLatestButton()); // a window that turns, a fold that opens
    sizes.observe(parts.scroller);
    sizes.observe(parts.list);
    parts.latest.addEventListener("click", () => this.#toEnd());
    for (const exchange of restored(ofThisTab.load("conversation"))) this.#add(exchange);
    this.#showAll();
    this.#toEnd();
  }

  get empty() {
    return this.#views.length === 0;
  }
  get busy() {
    return this.#abort !== null;
  }

  async send(question) {
    if (this.busy) return;
    this.#add(newExchange(question));
    await this.#answerLast();
  }

  stop() {
    this.#abort?.abort();
  }

  clear() {
    this.stop();
    this.#views = [];
    this.parts.list.replaceChildren();
    this.#showLatestButton();
    this.#save();
  }

  relabel() {
    this.#showAll();
  }

  #add(exchange) {
    const view = new ExchangeView(exchange, {
      edit: () => this.#edit(),
      regenerate: () => this.#regenerate(),
      settings: () => this.notify.settings(),
    });
    this.#views.push(view);
    this.parts.list.append(view.element);
  }

  #removeLast() {
    const view = this.#views.pop();
    view.element.remove();
    return view.exchange.question;
  }

  #edit() {
    if (this.busy) return;
    this.notify.edit(this.#removeLast());
    this.#showAll();
    this.#save();
  }

  async #regenerate() {
    if (this.busy) return;
    await this.send(this.#removeLast());
  }

  async #answerLast() {
    const view = this.#views.at(-1);
    const { exchange } = view;
    const exchanges = this.#views.map((v) => v.exchange);
    const abort = new AbortController();
    this.#abort = abort;
    this.notify.busy(true);
    this.#showAll();
    this.#toEnd();
    const fields = { messages: messagesOf(exchanges, this.ask.system()), ...this.ask.fields() };
    exchange.budget = fields.thinking_budget ?? null;
    let announced = false;
    await generate(exchange, fields, abort.signal, () => {
      if (exchange.state === "thinking" && !announced) this.#announce(t("announce_thinking"));
      announced ||= exchange.state === "thinking";
      this.#showSoon(view);
    });
    this.#abort = null;
    const shown = this.#views.includes(view); // not cleared meanwhile
    this.notify.busy(false);
    if (!shown) return;
    this.#following(() => this.#showAll());
    if (exchange.answer) this.#announce(t("announce_answer", { text: exchange.answer }));
    this.#save();
  }

  // At most once per frame, however fast the words come.
  #showSoon(view) {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#following(() => view.show(view === this.#views.at(-1)));
    });
  }

  #showAll() {
    for (const view of this.#views) view.show(view === this.#views.at(-1));
    this.#showLatestButton();
  }

  #announce(text) {
    this.parts.announcer.textContent = text;
  }

  #save() {
    const finished = this.#views.map((v) => v.exchange).filter((exchange) => !running(exchange));
    ofThisTab.save("conversation", finished.length ? finished : null);
  }

  #nearEnd() {
    const { scroller } = this.parts;
    return scroller.scrollHeight - scroller.scrollTop - scroller.clientHeight < NEAR_END_PX;
  }

  // Whoever reads at the end stays there; whoever has scrolled up is left alone.
  #following(change) {
    const follow = this.#nearEnd();
    change();
    if (follow) this.#toEnd();
    this.#showLatestButton();
  }

  #toEnd() {
    this.parts.scroller.scrollTop = this.parts.scroller.scrollHeight;
  }

  #showLatestButton() {
    this.parts.latest.hidden = this.empty || this.#nearEnd();
  }
}
