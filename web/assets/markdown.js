// Shows Markdown that is still being written: blocks that did not change keep their elements, so a selection in them survives,
// and of a text that grows only the end, which can still change, is read again.
import { copyText, make } from "./dom.js";
import { t } from "./language.js";
import { mathElement } from "./math.js";
import { parseBlocks, plainLines } from "./markdown_blocks.js";
import { inlineNodes } from "./markdown_inline.js";

const COPIED_MS = 1500;

export class MarkdownView {
  #fixed = ""; // the start of the text that is not read again
  #numFixed = 0; // its blocks
  #sources = []; // of the blocks behind it

  constructor(element) {
    this.element = element;
  }

  show(text) {
    const whole = plainLines(text);
    if (!whole.startsWith(this.#fixed)) {
      this.#fixed = "";
      this.#numFixed = 0;
      this.#sources = [];
    }
    const rest = whole.slice(this.#fixed.length);
    const blocks = parseBlocks(rest);
    let same = 0;
    while (same < blocks.length && blocks[same].source === this.#sources[same]) same += 1;
    while (this.element.children.length > this.#numFixed + same) this.element.lastChild.remove();
    for (const block of blocks.slice(same)) this.element.append(blockElement(block));
    const open = Math.max(blocks.findLastIndex((block) => block.fixed), 0);
    if (open > 0) this.#fixed += rest.slice(0, blocks[open].from);
    this.#numFixed += open;
    this.#sources = blocks.slice(open).map((block) => block.source);
  }
}

function blockElement(block) {
  switch (block.type) {
    case "heading":
      return make(`h${Math.min(block.level + 2, 6)}`, {}, ...inlineNodes(block.text)); // the page has h1 and h2
    case "code":
      return codeElement(block);
    case "math":
      return make("div", { class: "math-block", tabindex: "0" }, mathElement(block.text, true) ?? block.text);
    case "rule":
      return make("hr");
    case "quote":
      return make("blockquote", {}, ...block.blocks.map(blockElement));
    case "list":
      return listElement(block);
    case "table":
      return tableElement(block);
    default:
      return make("p", {}, ...inlineNodes(block.text));
  }
}

function listElement(list) {
  const items = list.items.map((blocks) => make("li", {}, ...blocks.flatMap((block) =>
    block.type === "paragraph" && !list.loose ? inlineNodes(block.text) : [blockElement(block)])));
  return make(list.ordered ? "ol" : "ul", { start: list.ordered && list.start !== 1 ? list.start : null }, ...items);
}

function tableElement(table) {
  const row = (cells, tag) => make("tr", {}, ...cells.map((cell, i) =>
    make(tag, { class: table.align[i] ? `align-${table.align[i]}` : null, scope: tag === "th" ? "col" : null }, ...inlineNodes(cell))));
  return make("div", { class: "table-scroll", tabindex: "0" },
    make("table", {}, make("thead", {}, row(table.head, "th")), make("tbody", {}, ...table.rows.map((cells) => row(cells, "td")))));
}

function codeElement(block) {
  const button = make("button", { type: "button", class: "quiet copy-code", "data-t": "copy_code", onclick: () => copy(button, block.text) },
    t("copy_code"));
  return make("div", { class: "code" },
    make("div", { class: "code-head" }, make("span", {}, block.language), button),
    make("pre", { tabindex: "0" }, make("code", {}, block.text)));
}

async function copy(button, text) {
  if (!(await copyText(text))) return;
  button.textContent = t("copied");
  setTimeout(() => { button.textContent = t("copy_code"); }, COPIED_MS);
}
