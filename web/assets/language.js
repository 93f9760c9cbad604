// The language of the page: the browser's, unless the person chose one. t("key", {name: value}) gives the words.
import { english } from "./words_en.js";
import { chinese } from "./words_zh.js";
import { lasting } from "./storage.js";

const words = { en: english, zh: chinese };
const watchers = new Set();
let current = null;

function preferred() {
  const stored = lasting.load("language");
  if (stored in words) return stored;
  return navigator.language?.toLowerCase().startsWith("zh") ? "zh" : "en";
}

export function language() {
  return (current ??= preferred());
}

export function setLanguage(name) {
  current = name;
  lasting.save("language", name);
  for (const watcher of watchers) watcher();
}

export function onLanguage(watcher) {
  watchers.add(watcher);
}

export function t(key, values = {}) {
  const text = words[language()][key] ?? english[key] ?? key;
  return text.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

export const has = (key) => key in english;

export function number(value, digits = 0) {
  return new Intl.NumberFormat(language() === "zh" ? "zh-CN" : "en", { maximumFractionDigits: digits, minimumFractionDigits: digits }).format(value);
}

// 0.012 → "12 ms", 3.21 → "3.2 s", 75 → "1:15 min"
export function seconds(value) {
  if (value < 0.1) return t("milliseconds", { count: number(Math.max(value * 1000, 1)) });
  if (value < 60) return t("seconds", { count: number(value, 1) });
  return t("minutes", { count: `${Math.floor(value / 60)}:${String(Math.floor(value % 60)).padStart(2, "0")}` });
}

// Fills the words into what index.html marks: data-t the text, data-t-ATTRIBUTE an attribute.
export function translate(root = document) {
  document.documentElement.lang = language() === "zh" ? "zh-CN" : "en";
  for (const element of root.querySelectorAll("[data-t]")) element.textContent = t(element.dataset.t);
  for (const attribute of ["aria-label", "title", "placeholder"])
    for (const element of root.querySelectorAll(`[data-t-${attribute}]`))
      element.setAttribute(attribute, t(element.getAttribute(`data-t-${attribute}`)));
}
