// The field that a message is written in. Enter sends, but not while an input method is composing: there Enter chooses a word.
import { find } from "./dom.js";

const TALLEST = 0.4; // of the window

export class Composer {
  // actions: {send(text), stop()}
  constructor(actions) {
    this.actions = actions;
    this.field = find("message");
    this.sendButton = find("send");
    this.stopButton = find("stop");
    this.busy = false;
    this.field.addEventListener("input", () => this.#changed());
    this.field.addEventListener("keydown", (event) => this.#key(event));
    this.sendButton.addEventListener("click", () => this.#send());
    this.stopButton.addEventListener("click", () => actions.stop());
    window.addEventListener("resize", () => this.#changed());
    this.#changed();
  }

  put(text) {
    this.field.value = text;
    this.#changed();
    this.field.focus();
    this.field.setSelectionRange(text.length, text.length);
  }

  setBusy(busy) {
    const leaving = busy ? this.sendButton : this.stopButton;
    // A touch screen would cover half the page with its keyboard.
    const focused = !matchMedia("(pointer: coarse)").matches
      && (document.activeElement === leaving || document.activeElement === document.body);
    this.busy = busy;
    this.sendButton.hidden = busy;
    this.stopButton.hidden = !busy;
    this.#changed();
    if (focused) (busy ? this.stopButton : this.field).focus({ preventScroll: true });
  }

  #key(event) {
    const composing = event.isComposing || event.keyCode === 229; // 229: Safari ends the composition before this event
    if (event.key !== "Enter" || event.shiftKey || event.altKey || composing) return;
    event.preventDefault();
    this.#send();
  }

  #send() {
    const text = this.field.value.trim();
    if (this.busy || text === "") return;
    this.field.value = "";
    this.#changed();
    this.actions.send(text);
  }

  #changed() {
    this.sendButton.disabled = this.field.value.trim() === "";
    this.field.style.height = "auto";
    this.field.style.height = `${Math.min(this.field.scrollHeight, TALLEST * window.innerHeight)}px`;
  }
}
