// The panel with the settings. Each change holds at once; a value out of its range is marked and not taken.
import { apiKey } from "./api.js";
import { find } from "./dom.js";
import { number, t } from "./language.js";
import { NUMBERS, readNumber } from "./settings.js";

const WITH_SLIDER = ["temperature", "top_p"];

export class SettingsPanel {
  // keyChanged(): the API key is another one.
  constructor(settings, keyChanged) {
    this.settings = settings;
    this.dialog = find("settings");
    for (const name of Object.keys(NUMBERS)) if (name !== "thinking_depth") this.#wireNumber(name);
    for (const name of WITH_SLIDER) this.#wireSlider(name);
    find("set-thinking").addEventListener("change", (event) => this.#set("thinking", event.target.checked));
    find("set-thinking_depth").addEventListener("input", (event) => {
      const depth = Number(event.target.value);
      this.#set("thinking_depth", depth === 0 ? null : depth);
    });
    find("set-system").addEventListener("input", (event) => settings.set("system", event.target.value));
    find("set-key").addEventListener("change", (event) => {
      apiKey.set(event.target.value.trim());
      keyChanged();
    });
    find("settings-reset").addEventListener("click", () => {
      settings.reset();
      this.show();
    });
    find("settings-close").addEventListener("click", () => this.dialog.close());
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.dialog.close(); // beside the panel
    });
    this.show();
  }

  open() {
    this.show();
    if (!this.dialog.open) this.dialog.showModal();
  }

  // Fills in everything anew: values, the service's defaults, words.
  show() {
    const { settings } = this;
    const { values } = settings;
    for (const name of Object.keys(NUMBERS)) if (name !== "thinking_depth") this.#showNumber(name);
    for (const name of WITH_SLIDER) this.#showSlider(name);
    find("set-system").value = values.system;
    find("set-key").value = apiKey.get();
    find("thinking-settings").hidden = !settings.canThink;
    find("set-thinking").checked = values.thinking;
    this.#showDepth();
  }

  #set(name, value) {
    this.settings.set(name, value);
    this.#showDepth();
  }

  #showDepth() {
    const { thinking, thinking_depth: depth, thinking_budget: budget } = this.settings.values;
    const per = this.settings.tokensPerDepth;
    const text = depth === null ? t("no_limit") : t("depth_value", { depth, count: number(depth * per) });
    const slider = find("set-thinking_depth");
    slider.value = depth ?? 0;
    slider.setAttribute("aria-valuetext", text);
    find("depth-text").textContent = text;
    find("depth-help").textContent = t("depth_help", { count: number(per) });
    slider.disabled = !thinking || budget !== null;
    find("set-thinking_budget").disabled = !thinking;
  }

  #wireNumber(name) {
    const input = find(`set-${name}`);
    input.addEventListener("input", () => {
      const value = readNumber(name, input.value);
      this.#showValidity(name, value !== undefined);
      if (value === undefined) return;
      this.#set(name, value);
      if (WITH_SLIDER.includes(name)) this.#showSlider(name);
    });
    input.addEventListener("blur", () => {
      if (readNumber(name, input.value) !== undefined) return;
      this.#showNumber(name);
    });
  }

  #showNumber(name) {
    const value = this.settings.values[name];
    const input = find(`set-${name}`);
    input.value = value ?? "";
    this.#showValidity(name, true);
    const preset = this.settings.defaultOf(name);
    if (preset !== null) input.placeholder = String(preset);
  }

  #showValidity(name, valid) {
    const { min, max, whole } = NUMBERS[name];
    const error = find(`error-${name}`);
    error.hidden = valid;
    error.textContent = valid ? "" : t(whole ? "whole_number" : "out_of_range", { min: number(min, whole ? 0 : 2), max: number(max) });
    find(`set-${name}`).setAttribute("aria-invalid", String(!valid));
  }

  #wireSlider(name) {
    const slider = find(`slider-${name}`);
    Object.assign(slider, { min: NUMBERS[name].min, max: NUMBERS[name].max, step: NUMBERS[name].step });
    slider.addEventListener("input", () => {
      this.settings.set(name, Number(slider.value));
      this.#showNumber(name);
    });
  }

  #showSlider(name) {
    find(`slider-${name}`).value = this.settings.values[name] ?? this.settings.defaultOf(name) ?? 1;
  }
}
