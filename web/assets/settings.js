// What the person has set, and what it means to the service. null is the service's own default. Kept in the browser.
import { lasting } from "./storage.js";

const KEY = "settings";
const TOKENS_PER_DEPTH = 256; // where /model_info does not say

// The range that the service accepts; whole numbers where `whole`.
export const NUMBERS = {
  temperature: { min: 0, max: 2, step: 0.05 },
  top_p: { min: 0.01, max: 1, step: 0.01 },
  max_length: { min: 1, max: 1000000, whole: true },
  seed: { min: -9007199254740991, max: 9007199254740991, whole: true },
  thinking_depth: { min: 1, max: 10, whole: true },
  thinking_budget: { min: 0, max: 1000000, whole: true },
};

const DEFAULTS = {
  temperature: null,
  top_p: null,
  max_length: null,
  seed: null,
  thinking: true,
  thinking_depth: null, // no limit
  thinking_budget: null, // as the depth says
  system: "",
};

// undefined where `text` is no value that the service would take; null for "".
export function readNumber(name, text) {
  const { min, max, whole } = NUMBERS[name];
  const trimmed = text.trim().replace(/^−/, "-");
  if (trimmed === "") return null;
  const value = Number(trimmed);
  const fits = Number.isFinite(value) && value >= min && value <= max && (!whole || Number.isSafeInteger(value));
  return fits ? value : undefined;
}

function checked(stored) {
  const values = { ...DEFAULTS };
  for (const name of Object.keys(NUMBERS)) {
    const value = stored?.[name];
    if (typeof value === "number") values[name] = readNumber(name, String(value)) ?? null;
  }
  if (typeof stored?.thinking === "boolean") values.thinking = stored.thinking;
  if (typeof stored?.system === "string") values.system = stored.system;
  return values;
}

export class Settings {
  values = checked(lasting.load(KEY));
  model = null; // /model_info

  set(name, value) {
    this.values[name] = value;
    lasting.save(KEY, this.values);
  }

  reset() {
    this.values = { ...DEFAULTS };
    lasting.save(KEY, null);
  }

  get tokensPerDepth() {
    return this.model?.thinking_tokens_per_depth ?? TOKENS_PER_DEPTH;
  }

  // The service's own value, or null where it has none to tell.
  defaultOf(name) {
    return this.model?.default_sampling?.chat?.[name] ?? null;
  }

  get canThink() {
    return this.model?.template_family !== "instruct";
  }

  // Of a chat completion; what is not set is not sent.
  fields() {
    const { temperature, top_p, max_length, seed, thinking, thinking_depth, thinking_budget } = this.values;
    const fields = {};
    if (temperature !== null) fields.temperature = temperature;
    if (top_p !== null) fields.top_p = top_p;
    if (max_length !== null) fields.max_completion_tokens = max_length;
    if (seed !== null) fields.seed = seed;
    if (!this.canThink) return fields;
    if (!thinking) fields.chat_template_kwargs = { enable_thinking: false };
    else if (thinking_budget !== null) fields.thinking_budget = thinking_budget;
    else if (thinking_depth !== null) fields.thinking_budget = thinking_depth * this.tokensPerDepth;
    return fields;
  }
}
