// One route of /docs: a fold with its fields, its answers, an example to copy and a form to send it.
import { fieldsOf, resolve } from "./docs_schema.js";
import { tryView } from "./docs_try.js";
import { make } from "./dom.js";
import { t } from "./language.js";

function fieldList({ fields, refused }) {
  const rows = fields.map((field) =>
    make("div", { class: "field-row" },
      make("dt", {}, field.name, ...(field.required ? [" ", make("span", { class: "required" }, t("docs_required"))] : [])),
      make("dd", {},
        make("span", { class: "shape" }, field.shape, field.fallback === undefined ? "" : ` · ${t("docs_default")} ${JSON.stringify(field.fallback)}`),
        ...(field.text ? [make("br"), field.text] : []))));
  const list = make("dl", { class: "fields" }, ...rows);
  return refused.length === 0 ? [list] : [list, make("p", { class: "help" }, t("docs_refused", { names: refused.join(", ") }))];
}

function answers(spec, operation) {
  const lines = Object.entries(operation.responses).map(([status, response]) =>
    make("li", {}, make("code", {}, status), make("span", {}, resolve(spec, response).description)));
  return make("ul", { class: "statuses" }, ...lines);
}

function answerFields(spec, operation) {
  const schema = operation.responses["200"].content?.["application/json"]?.schema;
  return schema ? [make("h4", {}, t("docs_answer")), ...fieldList(fieldsOf(spec, schema))] : [];
}

function body(spec, { path, method, operation }) {
  const request = operation.requestBody?.content["application/json"];
  return [
    operation.description ? make("p", {}, operation.description) : "",
    ...(request ? [make("h4", {}, t("docs_fields")), ...fieldList(fieldsOf(spec, request.schema))] : []),
    ...answerFields(spec, operation),
    make("h4", {}, t("docs_statuses")),
    answers(spec, operation),
    make("h4", {}, t("docs_try")),
    tryView({ path, method, operation, example: request?.example }),
  ];
}

export function routeView(spec, route) {
  const { path, method, operation } = route;
  const inside = make("div", { class: "route-body" });
  const view = make("details", { class: "route", id: operation.operationId },
    make("summary", {},
      make("span", { class: "method" }, method), make("span", { class: "path" }, path), make("span", { class: "summary" }, operation.summary),
      ...(operation["x-scope"] ? [make("span", { class: "scope", title: t("docs_scope_title") }, operation["x-scope"])] : [])),
    inside);
  view.addEventListener("toggle", () => {
    if (view.open && !inside.hasChildNodes()) inside.append(...body(spec, route));
  });
  return view;
}
