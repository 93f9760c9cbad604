// The text of one block → nodes: code, bold, italic, struck out, links, formulas. Markup in the text stays text. A link leads to
// http or https, or it is no link. What a search for an end has found is remembered, so that time does not grow with the square.
import { make } from "./dom.js";
import { mathElement } from "./math.js";

const MOST_NESTED = 8;
const SPECIAL = /[\\`*_~[<\n$!]|https?:\/\//g;
const PUNCTUATION = /[!-/:-@[-`{-~]/;
const WORD = /[\p{L}\p{N}]/u;
const LINK = /!?\[([^[\]]{0,1000})\]\([ ]?<?([^\s()<>]{0,2000}(?:\([^\s()<>]{0,500}\)[^\s()<>]{0,500}){0,8})>?(?:[ ]+"[^"]{0,500}")?[ ]?\)/y;
const BRACKETED = /<(https?:\/\/[^\s<>]{1,2000})>/y;
const BARE = /https?:\/\/[^\s<>"'`*，。；：！？、（）【】《》「」]{1,2000}/y;
const BREAK = /<br ?\/?>/iy;

function matchAt(pattern, text, at) {
  pattern.lastIndex = at;
  return pattern.exec(text);
}

export function safeAddress(text) {
  try {
    const url = new URL(text);
    return url.protocol === "http:" || url.protocol === "https:" ? url.href : null;
  } catch {
    return null;
  }
}

function link(address, ...children) {
  return make("a", { href: address, target: "_blank", rel: "noopener noreferrer nofollow" }, ...children);
}

// A formula that cannot be set stands as it is written.
function formula(tex) {
  return make("span", { class: "math" }, mathElement(tex, false) ?? tex.trim());
}

export function inlineNodes(text, nested = 0) {
  const nodes = [];
  const ends = new Map(); // an end → where it comes next, as far as is known
  let plain = "";
  const add = (node) => {
    if (plain) nodes.push(document.createTextNode(plain));
    plain = "";
    nodes.push(node);
  };
  const endOf = (end, from, accepts = () => true) => {
    const known = ends.get(end) ?? -1;
    let at = known >= from ? known : text.indexOf(end, from);
    if (at !== known) while (at >= 0 && !accepts(at)) at = text.indexOf(end, at + 1);
    ends.set(end, at < 0 ? Infinity : at);
    return at < Infinity ? at : -1;
  };
  const inner = (from, to) => (nested < MOST_NESTED ? inlineNodes(text.slice(from, to), nested + 1) : [text.slice(from, to)]);

  const readers = {
    "\\"(at) {
      for (const [open, end] of [["\\(", "\\)"], ["\\[", "\\]"]])
        if (text.startsWith(open, at)) {
          const stop = endOf(end, at + 2);
          if (stop > 0) return [formula(text.slice(at + 2, stop)), stop + 2];
        }
      const next = text[at + 1] ?? "";
      if (next === "\n") return [make("br"), at + 2];
      return PUNCTUATION.test(next) ? [next, at + 2] : null;
    },
    "`"(at) {
      let run = 1;
      while (text[at + run] === "`") run += 1;
      const fence = "`".repeat(run);
      const stop = run <= 8 ? endOf(fence, at + run, (i) => text[i - 1] !== "`" && text[i + run] !== "`") : -1;
      if (stop < 0) return [fence, at + run];
      const code = text.slice(at + run, stop).replace(/\n/g, " ");
      const padded = code.length > 2 && code.startsWith(" ") && code.endsWith(" ") && code.trim() !== "";
      return [make("code", {}, padded ? code.slice(1, -1) : code), stop + run];
    },
    "*"(at) {
      return emphasis(at, "*");
    },
    _(at) {
      return at > 0 && WORD.test(text[at - 1]) ? null : emphasis(at, "_");
    },
    "~"(at) {
      if (!text.startsWith("~~", at)) return null;
      const stop = endOf("~~", at + 3);
      return stop < 0 ? null : [make("del", {}, ...inner(at + 2, stop)), stop + 2];
    },
    "["(at) {
      const match = matchAt(LINK, text, at);
      if (!match) return null;
      const address = safeAddress(match[2]);
      const end = at + match[0].length;
      return address ? [link(address, ...inner(at + match[0].indexOf("[") + 1, at + match[0].indexOf("[") + 1 + match[1].length)), end] : [match[0], end];
    },
    "!"(at) {
      return text[at + 1] === "[" ? readers["["](at) : null; // pictures are links: nothing is loaded from elsewhere
    },
    "<"(at) {
      const breaks = matchAt(BREAK, text, at);
      if (breaks) return [make("br"), at + breaks[0].length];
      const match = matchAt(BRACKETED, text, at);
      const address = match && safeAddress(match[1]);
      return address ? [link(address, match[1]), at + match[0].length] : null;
    },
    "\n"(at) {
      return [make("br"), at + 1];
    },
    $(at) {
      const double = text.startsWith("$$", at);
      const end = double ? "$$" : "$";
      const from = at + end.length;
      if (!double && /[\s\d]/.test(text[from] ?? " ")) return null; // prices
      const stop = endOf(end, from + 1, (i) => double || (!/\s/.test(text[i - 1]) && !/\d/.test(text[i + 1] ?? "")));
      if (stop < 0 || stop - from > 500 || (!double && text.slice(from, stop).includes("\n"))) return null;
      return [formula(text.slice(from, stop)), stop + end.length];
    },
    h(at) {
      const match = matchAt(BARE, text, at);
      if (!match || (at > 0 && /[\p{L}\p{N}]/u.test(text[at - 1]) && text.charCodeAt(at - 1) < 128)) return null;
      let address = match[0].replace(/[.,;:!?]+$/, "");
      while (address.endsWith(")") && !address.includes("(")) address = address.slice(0, -1);
      const safe = safeAddress(address);
      return safe ? [link(safe, address), at + address.length] : null;
    },
  };

  function emphasis(at, mark) {
    const closes = (i, width) => !/\s/.test(text[i - 1]) && (mark === "*" || !WORD.test(text[i + width] ?? " "));
    const opens = (width) => !/\s/.test(text[at + width] ?? " ") && text[at + width] !== undefined;
    if (text[at + 1] === mark && opens(2)) {
      let stop = endOf(mark + mark, at + 3, (i) => closes(i, 2));
      if (stop > 0) {
        while (text[stop + 2] === mark) stop += 1;
        return [make("strong", {}, ...inner(at + 2, stop)), stop + 2];
      }
    }
    if (text[at + 1] !== mark && opens(1)) {
      const stop = endOf(mark, at + 2, (i) => text[i - 1] !== mark && text[i + 1] !== mark && closes(i, 1));
      if (stop > 0) return [make("em", {}, ...inner(at + 1, stop)), stop + 1];
    }
    let run = 1;
    while (text[at + run] === mark) run += 1;
    return [mark.repeat(run), at + run];
  }

  for (let at = 0; at < text.length;) {
    SPECIAL.lastIndex = at;
    const found = SPECIAL.exec(text);
    if (!found) {
      plain += text.slice(at);
      break;
    }
    plain += text.slice(at, found.index);
    const read = readers[found[0][0]](found.index);
    if (!read) {
      plain += found[0][0];
      at = found.index + 1;
    } else {
      if (typeof read[0] === "string") plain += read[0];
      else add(read[0]);
      at = read[1];
    }
  }
  if (plain) nodes.push(document.createTextNode(plain));
  return nodes;
}
