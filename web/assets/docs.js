// The page at /docs: reads openapi.json and shows its routes, by the groups that it names.
import { apiKey } from "./api.js";
import { find, make } from "./dom.js";
import { language, onLanguage, setLanguage, t, translate } from "./language.js";
import { routeView } from "./docs_route.js";

let spec = null;
let failure = null;

function routesOf(tag) {
  const routes = [];
  for (const [path, methods] of Object.entries(spec.paths))
    for (const [method, operation] of Object.entries(methods))
      if (operation.tags?.includes(tag)) routes.push({ path, method: method.toUpperCase(), operation });
  return routes;
}

function show() {
  translate();
  document.title = `${spec?.info.title ?? "qwen-thinking"} API`;
  find("failure").hidden = !failure;
  if (failure) find("failure").textContent = t("docs_failed", { problem: failure });
  if (!spec) return;
  find("version").textContent = spec.info.version;
  find("description").replaceChildren(...spec.info.description.split("\n\n").map((text) => make("p", {}, text)));
  const open = new Set([...document.querySelectorAll("details.route[open]")].map((route) => route.id));
  const groups = spec.tags.map((tag) => ({ tag, routes: routesOf(tag.name) })).filter((group) => group.routes.length > 0);
  find("routes").replaceChildren(
    ...groups.flatMap(({ tag, routes }) => [make("h3", { class: "group" }, tag.description), ...routes.map((route) => routeView(spec, route))]),
  );
  for (const id of open) find(id).open = true;
}

// A link to a route opens it.
function openNamed() {
  const route = find(decodeURIComponent(location.hash.slice(1)));
  if (!route?.classList.contains("route")) return;
  route.open = true;
  route.scrollIntoView();
}

async function load() {
  try {
    const headers = apiKey.get() ? { Authorization: `Bearer ${apiKey.get()}` } : {};
    const response = await fetch("openapi.json", { headers, credentials: "same-origin" });
    if (!response.ok) throw new Error(`HTTP ${response.status}`);
    spec = await response.json();
    failure = null;
  } catch (error) {
    failure = error.message;
  }
  show();
  openNamed();
}

find("key").value = apiKey.get();
find("key").addEventListener("change", (event) => {
  apiKey.set(event.target.value.trim());
  if (!spec) load();
});
find("language").addEventListener("click", () => setLanguage(language() === "zh" ? "en" : "zh"));
onLanguage(show);
window.addEventListener("hashchange", openNamed);
translate();
load();
