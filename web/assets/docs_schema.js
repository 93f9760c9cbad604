// A schema of openapi.json in words: which fields there are, what they may hold. No element of the page.

const MAX_DEPTH = 3;

// What a reference names, with what stands beside it going first.
export function resolve(spec, schema) {
  let found = schema;
  for (let steps = 0; found?.$ref && steps < 8; ++steps) {
    const { $ref, ...beside } = found;
    const target = $ref.replace("#/", "").split("/").reduce((place, key) => place?.[key], spec);
    found = { ...target, ...beside };
  }
  return found ?? {};
}

const says = (spec, branch) => !branch.$ref?.endsWith("/NotGiven") && resolve(spec, branch).type !== "null";

const types = (schema) => [schema.type ?? []].flat().filter((type) => type !== "null");

// 64-bit bounds are more than a number of JavaScript holds, and nobody needs to read them.
const isPlain = (bound) => bound !== undefined && Math.abs(bound) <= Number.MAX_SAFE_INTEGER;

const inner = (shape) => (shape.includes(" ") ? `(${shape})` : shape);

function range(schema) {
  const parts = [];
  if (isPlain(schema.minimum)) parts.push(`≥ ${schema.minimum}`);
  if (schema.exclusiveMinimum !== undefined) parts.push(`> ${schema.exclusiveMinimum}`);
  if (isPlain(schema.maximum)) parts.push(`≤ ${schema.maximum}`);
  if (schema.minLength !== undefined) parts.push(`length ≥ ${schema.minLength}`);
  if (schema.maxLength !== undefined) parts.push(`length ≤ ${schema.maxLength}`);
  if (schema.minItems !== undefined) parts.push(`≥ ${schema.minItems} items`);
  if (schema.maxItems !== undefined) parts.push(`≤ ${schema.maxItems} items`);
  if (schema.maxProperties !== undefined) parts.push(`≤ ${schema.maxProperties} members`);
  return parts.join(", ");
}

// "integer ≥ 1, ≤ 10", "string | array of (string length ≥ 1) ≤ 4 items"
export function shapeOf(spec, raw, depth = 0) {
  const schema = resolve(spec, raw);
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.filter((value) => value !== null).map((value) => JSON.stringify(value)).join(" | ");
  if (schema.anyOf) {
    const shapes = schema.anyOf.filter((one) => says(spec, one)).map((one) => shapeOf(spec, one, depth));
    return [...new Set(shapes)].join(" | ");
  }
  const names = types(schema).map((type) => (type === "array" && schema.items && depth < MAX_DEPTH ? `array of ${inner(shapeOf(spec, schema.items, depth + 1))}` : type));
  return [names.join(" | ") || "any", range(schema)].filter(Boolean).join(" ");
}

// [{name, required, shape, fallback, text}], members of members under "outer.inner". What is only there to be refused comes apart.
export function fieldsOf(spec, raw, prefix = "", depth = 0) {
  const schema = resolve(spec, raw);
  const fields = [];
  const refused = [];
  for (const [name, property] of Object.entries({ ...schema.properties, ...schema.then?.properties })) {
    if (property.$ref?.endsWith("/Unsupported")) {
      refused.push(name);
      continue;
    }
    const own = resolve(spec, property);
    fields.push({
      name: prefix + name,
      required: schema.required?.includes(name) ?? false,
      shape: shapeOf(spec, property),
      fallback: own.default,
      text: own.description ?? "",
    });
    if (depth < MAX_DEPTH) fields.push(...membersOf(spec, own, prefix + name, depth + 1));
  }
  return { fields, refused };
}

function membersOf(spec, schema, name, depth) {
  const branches = [schema, ...(schema.anyOf ?? [])].map((branch) => resolve(spec, branch));
  return branches.flatMap((branch) => {
    if (branch.properties) return fieldsOf(spec, branch, `${name}.`, depth).fields;
    const item = resolve(spec, branch.items);
    if (item.properties) return fieldsOf(spec, item, `${name}[].`, depth).fields;
    return item.anyOf && depth < MAX_DEPTH ? membersOf(spec, item, `${name}[]`, depth + 1) : [];
  });
}
