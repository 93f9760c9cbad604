// Joins the parts of the page. Each of them knows its own elements; this file knows who tells whom.
import { showBadge } from "./badge.js";
import { Composer } from "./composer.js";
import { Conversation } from "./conversation.js";
import { find } from "./dom.js";
import { language, onLanguage, setLanguage, translate } from "./language.js";
import { ServiceState } from "./service_state.js";
import { Settings } from "./settings.js";
import { SettingsPanel } from "./settings_panel.js";
import { showWelcome } from "./welcome.js";

translate();
const settings = new Settings();
const composer = new Composer({ send, stop: () => conversation.stop() });
const conversation = new Conversation(
  { list: find("exchanges"), scroller: find("scroller"), latest: find("latest"), announcer: find("announcer") },
  { fields: () => settings.fields(), system: () => settings.values.system },
  {
    busy(running) {
      composer.setBusy(running);
      if (!running) service.look();
    },
    edit(text) {
      composer.put(text);
      showParts();
    },
    settings: () => panel.open(),
  },
);
const service = new ServiceState(() => {
  settings.model = service.model;
  if (!panel.dialog.open) panel.show();
  showParts();
});
const panel = new SettingsPanel(settings, () => service.look());

function showParts() {
  showBadge(service);
  showWelcome(service.model, conversation.empty, send);
}

function send(text) {
  conversation.send(text);
  showParts();
}

find("new").addEventListener("click", () => {
  conversation.clear();
  showParts();
  composer.field.focus();
});
find("open-settings").addEventListener("click", () => panel.open());
find("language").addEventListener("click", () => setLanguage(language() === "zh" ? "en" : "zh"));
onLanguage(() => {
  translate();
  panel.show();
  conversation.relabel();
  showParts();
});
document.addEventListener("keydown", (event) => {
  if (event.key === "Escape" && !event.isComposing && !panel.dialog.open) conversation.stop();
});

showParts();
composer.field.focus();
