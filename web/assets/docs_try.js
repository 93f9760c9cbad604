// A request as a curl line, and the same sent from here. What comes back is shown as text, a stream while it comes.
import { apiKey } from "./api.js";
import { copyText, make } from "./dom.js";
import { seconds, t } from "./language.js";

const SHOWN_CHARACTERS = 200000;

const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;

export function curlLine({ path, method, body, keyed }) {
  const parts = [`curl ${quoted(new URL(path, document.baseURI).href)}`];
  if (method !== "GET") parts[0] = `curl -X ${method} ${quoted(new URL(path, document.baseURI).href)}`;
  if (keyed) parts.push('-H "Authorization: Bearer $API_KEY"'); // the key itself is not for copying
  if (body !== undefined) parts.push("-H 'Content-Type: application/json'", `-d ${quoted(body)}`);
  return parts.join(" \\\n  ");
}

// Calls `show` with the text so far. The text is cut where it becomes more than a page can hold.
async function readText(response, show) {
  const reader = response.body.getReader();
  const decoder = new TextDecoder();
  let text = "";
  for (;;) {
    const { value, done } = await reader.read();
    text += done ? decoder.decode() : decoder.decode(value, { stream: true });
    if (text.length > SHOWN_CHARACTERS) {
      reader.cancel().catch(() => {});
      show(`${text.slice(0, SHOWN_CHARACTERS)}\n…`);
      return null;
    }
    show(text);
    if (done) return text;
  }
}

function pretty(text) {
  try {
    return JSON.stringify(JSON.parse(text), null, 2);
  } catch {
    return text;
  }
}

class Attempt {
  #running = null; // AbortController

  constructor({ path, method, operation, example }) {
    this.path = path;
    this.method = method;
    this.keyed = Boolean(operation["x-scope"]);
    this.id = operation.operationId;
    this.inputs = (operation.parameters ?? []).filter((one) => one.in === "path").map((one) => ({
      name: one.name, input: make("input", { value: one.example ?? "", "aria-label": one.name, oninput: () => this.#describe() }),
    }));
    this.area = example === undefined ? null
      : make("textarea", { spellcheck: "false", "aria-label": t("docs_body"), oninput: () => this.#describe() });
    if (this.area) this.area.value = JSON.stringify(example, null, 2);
    this.curl = make("pre", { class: "curl", tabindex: "0", "aria-label": "curl" });
    this.copy = make("button", { type: "button", onclick: () => this.#copy() }, t("copy"));
    this.send = make("button", { type: "button", class: "send", onclick: () => this.#send() }, t("send"));
    this.stop = make("button", { type: "button", hidden: true, onclick: () => this.#running?.abort() }, t("stop"));
    this.status = make("span", { class: "status", role: "status" });
    this.output = make("pre", { class: "output", tabindex: "0", hidden: true, "aria-label": t("docs_answer") });
    this.#describe();
  }

  view() {
    return make("div", {},
      ...this.inputs.map(({ name, input }) => make("label", { class: "parameter" }, name, input)),
      ...(this.area ? [this.area] : []),
      this.curl,
      make("div", { class: "row" }, this.send, this.stop, this.copy, this.status),
      this.output);
  }

  #address() {
    return this.inputs.reduce((path, { name, input }) => path.replace(`{${name}}`, encodeURIComponent(input.value)), this.path.slice(1));
  }

  #describe() {
    this.curl.textContent = curlLine({ path: this.#address(), method: this.method, body: this.area?.value, keyed: this.keyed && apiKey.get() });
  }

  async #copy() {
    this.#describe();
    this.copy.textContent = (await copyText(this.curl.textContent)) ? t("copied") : t("copy");
    setTimeout(() => (this.copy.textContent = t("copy")), 1500);
  }

  #show(ok, text) {
    this.status.dataset.ok = String(ok);
    this.status.textContent = text;
  }

  async #send() {
    if (this.#running) return;
    const running = (this.#running = new AbortController());
    const headers = {};
    if (apiKey.get()) headers.Authorization = `Bearer ${apiKey.get()}`;
    if (this.area) headers["Content-Type"] = "application/json";
    this.send.disabled = true;
    this.stop.hidden = false;
    this.output.hidden = true;
    this.#show(true, "…");
    const begin = performance.now();
    try {
      const response = await fetch(this.#address(), { method: this.method, headers, body: this.area?.value, signal: running.signal, cache: "no-store", credentials: "same-origin" });
      this.output.hidden = false;
      const text = await readText(response, (part) => (this.output.textContent = part));
      if (text !== null && response.headers.get("Content-Type")?.startsWith("application/json")) this.output.textContent = pretty(text);
      this.#show(response.ok, `${response.status} · ${seconds((performance.now() - begin) / 1000)} · ${response.headers.get("X-Request-Id") ?? ""}`);
    } catch (error) {
      this.#show(false, running.signal.aborted ? t("docs_stopped") : t("docs_failed", { problem: error.message }));
    } finally {
      this.#running = null;
      this.send.disabled = false;
      this.stop.hidden = true;
    }
  }
}

export const tryView = (route) => new Attempt(route).view();
