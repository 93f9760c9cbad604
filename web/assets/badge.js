// The badge in the head of the page: which model, and how the service is.
import { find } from "./dom.js";
import { has, number, t } from "./language.js";

export function showBadge({ state, progress, model }) {
  const key = has(`state_${state}`) ? `state_${state}` : "state_unhealthy";
  find("badge").dataset.state = state;
  find("badge-name").textContent = model?.model_type ?? "";
  find("badge-state").textContent = t(key, { percent: Math.floor(100 * progress) });
  find("badge-demo").hidden = !model?.demo;
  find("badge").title = model ? t("model_title", {
    name: model.model_type,
    parameters: parameterCount(model.parameters),
    dtype: model.dtype,
    device: model.device,
    length: number(model.max_model_len ?? model.context_length),
  }) : "";
}

function parameterCount(count) {
  return count >= 1e9 ? `${number(count / 1e9, 1)}B` : `${number(count / 1e6, 1)}M`;
}
