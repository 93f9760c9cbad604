// What stands where no conversation has begun: a greeting, the notice of the demonstration model, and examples to try.
import { find, make } from "./dom.js";
import { examples } from "./examples.js";
import { language, number, t } from "./language.js";

// model: /model_info, or null while it is not known. ask(text) sends an example.
export function showWelcome(model, visible, ask) {
  find("welcome").hidden = !visible;
  if (!visible) return;
  const notice = find("demo-notice");
  notice.hidden = !model?.demo;
  if (model?.demo)
    find("demo-text").textContent = t("demo_text", { parameters: number(model.parameters / 1e6, 1), wan: number(model.parameters / 1e4) });
  const prompts = model ? examples[model.demo ? "demo" : "real"][language()] : [];
  find("examples").replaceChildren(...prompts.map((text) =>
    make("li", {}, make("button", { type: "button", class: "example", onclick: () => ask(text) }, text))));
}
