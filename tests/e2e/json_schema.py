"""The part of JSON Schema (2020-12) that openapi.json uses, strictly: a member that the schema does not list is a fault, too."""

TYPES = {"null": lambda v: v is None, "boolean": lambda v: isinstance(v, bool), "string": lambda v: isinstance(v, str),
         "array": lambda v: isinstance(v, list), "object": lambda v: isinstance(v, dict),
         "number": lambda v: isinstance(v, (int, float)) and not isinstance(v, bool),
         "integer": lambda v: isinstance(v, int) and not isinstance(v, bool)}


def resolve(document, schema):
    while "$ref" in schema:
        found = document
        for part in schema["$ref"].removeprefix("#/").split("/"):
            found = found[part]
        schema = {**found, **{key: value for key, value in schema.items() if key != "$ref"}}
    return schema


def faults(document, schema, value, place="$"):
    """What is wrong with an answer, a line each; nothing where it is as described."""
    schema = resolve(document, schema)
    if "anyOf" in schema:
        branches = [faults(document, branch, value, place) for branch in schema["anyOf"]]
        return [] if [] in branches else min(branches, key=len)
    found = []
    if "const" in schema and value != schema["const"] or "enum" in schema and value not in schema["enum"]:
        found.append(f"{place} is {value!r}")
    types = schema.get("type", [])
    types = [types] if isinstance(types, str) else types
    if types and not any(TYPES[name](value) for name in types):
        return [*found, f"{place} is {value!r}, no {' or '.join(types)}"]
    if TYPES["number"](value) and not schema.get("minimum", value) <= value <= schema.get("maximum", value):
        found.append(f"{place} is {value}")
    if isinstance(value, list) and len(value) > schema.get("maxItems", len(value)):
        found.append(f"{place} has {len(value)} items")
    if isinstance(value, list) and "items" in schema:
        found += [fault for i, item in enumerate(value) for fault in faults(document, schema["items"], item, f"{place}[{i}]")]
    if isinstance(value, dict) and "properties" in schema:
        if not schema.get("minProperties", 0) <= len(value) <= schema.get("maxProperties", len(value)):
            found.append(f"{place} has {len(value)} members")
        found += [f"{place} has no {name}" for name in schema.get("required", []) if name not in value]
        for name, member in value.items():
            if name in schema["properties"]:
                found += faults(document, schema["properties"][name], member, f"{place}.{name}")
            else:
                found.append(f"{place}.{name} is not documented")
    return found
