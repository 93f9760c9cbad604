// Formulas: the common part of TeX → MathML, which browsers set by themselves. What it does not know makes the whole formula null,
// and the caller shows it as it is written. Elements are built one by one: nothing of a formula becomes markup.
import { accents, alphabets, functions, largeOperators, letters, operators } from "./math_symbols.js";

const SPACE = "http://www.w3.org/1998/Math/MathML";
const LONGEST = 4000;
const MOST_NESTED = 40;
const TOKEN = /\\[a-zA-Z]+\*?|\\.|\d+(?:[.,]\d+)*|[^\s]/gu;
const SPACES = { ",": "0.17em", ":": "0.22em", ";": "0.28em", " ": "0.25em", quad: "1em", qquad: "2em", "!": "-0.17em" };
const TABLES = { matrix: "", pmatrix: "()", bmatrix: "[]", vmatrix: "||", cases: "{", aligned: "", align: "", gathered: "", array: "", split: "" };
const IGNORED = new Set(["displaystyle", "textstyle", "limits", "nolimits", "big", "Big", "bigg", "Bigg", "bigl", "bigr", "Bigl", "Bigr", "biggl",
  "biggr", "Biggl", "Biggr"]);
const TEXT = new Set(["text", "textbf", "textit", "textrm", "mathrm", "operatorname", "mbox", "mathsf", "mathtt", "mathit"]);
const CODE_POINTS = { "double-struck": [0x1d538, 0x1d552], script: [0x1d49c, 0x1d4b6], fraktur: [0x1d504, 0x1d51e], bold: [0x1d400, 0x1d41a] };
// Letters that Unicode had before it had the alphabets.
const OLDER = { "double-struck": "CℂHℍNℕPℙQℚRℝZℤ", script: "BℬEℰFℱHℋIℐLℒMℳRℛeℯgℊoℴ", fraktur: "CℭHℌIℑRℜZℨ", bold: "" };

function node(tag, attributes = {}, ...children) {
  const element = document.createElementNS(SPACE, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const row = (children) => (children.length === 1 ? children[0] : node("mrow", {}, ...children));
const operator = (text, attributes) => node("mo", attributes, text);

export function mathElement(tex, block) {
  if (tex.length > LONGEST) return null;
  try {
    const children = new Parser(tex).all();
    return node("math", { display: block ? "block" : "inline" }, node("mrow", {}, ...children));
  } catch (error) {
    if (error instanceof UnknownTex) return null;
    throw error;
  }
}

class UnknownTex extends Error {}

class Parser {
  #at = 0;
  #nested = 0;

  constructor(tex) {
    this.tex = tex;
    this.tokens = [...tex.matchAll(TOKEN)].map((match) => ({ text: match[0], start: match.index }));
  }

  all() {
    const children = this.#until(null);
    if (children.length === 0) throw new UnknownTex();
    return children;
  }

  #peek() {
    return this.tokens[this.#at]?.text ?? null;
  }
  #take(wanted = null) {
    const token = this.#peek();
    if (token === null || (wanted !== null && token !== wanted)) throw new UnknownTex();
    this.#at += 1;
    return token;
  }

  // Everything before `end` (taken, too), with its sub- and superscripts.
  #until(...ends) {
    if (++this.#nested > MOST_NESTED) throw new UnknownTex();
    const children = [];
    while (!ends.includes(this.#peek())) {
      if (this.#peek() === null) throw new UnknownTex();
      const atom = this.#atom();
      if (atom) children.push(this.#scripts(atom));
    }
    if (this.#peek() !== null) this.#at += 1;
    this.#nested -= 1;
    return children;
  }

  #scripts(base) {
    let below = null;
    let above = null;
    for (;;) {
      const token = this.#peek();
      if (token === "_" && !below) {
        this.#at += 1;
        below = this.#argument();
      } else if (token === "^" && !above) {
        this.#at += 1;
        above = this.#argument();
      } else if (token === "'" && !above) {
        let primes = "";
        for (; this.#peek() === "'"; this.#at += 1) primes += "′";
        above = operator(primes);
      } else {
        break;
      }
    }
    if (!below && !above) return base;
    const stacked = base.hasAttribute("data-limits");
    if (below && above) return node(stacked ? "munderover" : "msubsup", {}, base, below, above);
    return below ? node(stacked ? "munder" : "msub", {}, base, below) : node(stacked ? "mover" : "msup", {}, base, above);
  }

  #argument() {
    if (this.#peek() === "{") {
      this.#at += 1;
      return row(this.#until("}"));
    }
    const token = this.tokens[this.#at];
    if (/^\d./.test(token?.text ?? "")) { // without braces it is one digit: \frac12
      const digit = token.text[0];
      token.text = token.text.slice(1);
      return node("mn", {}, digit);
    }
    if (++this.#nested > MOST_NESTED) throw new UnknownTex();
    const atom = this.#atom();
    this.#nested -= 1;
    if (!atom) throw new UnknownTex();
    return atom;
  }

  // {…} as it is written.
  #rawArgument() {
    this.#take("{");
    const start = this.tokens[this.#at - 1].start + 1;
    for (let depth = 1; depth > 0;) {
      const token = this.#take();
      if (token === "{") depth += 1;
      if (token === "}") depth -= 1;
    }
    return this.tex.slice(start, this.tokens[this.#at - 1].start);
  }

  #atom() {
    const token = this.#take();
    if (token === "{") return row(this.#until("}"));
    if (token === "}" || token === "_" || token === "^" || token === "&" || token === "$" || token === "#") throw new UnknownTex();
    if (token === "~") return node("mspace", { width: "0.25em" });
    if (token[0] === "\\") return this.#command(token.slice(1));
    if (/^\d/.test(token)) return node("mn", {}, token);
    if (/^\p{L}/u.test(token)) return /^[a-zA-Zα-ωΑ-Ω]/.test(token) ? node("mi", {}, token) : node("mtext", {}, token);
    return operator(token === "-" ? "−" : token === "*" ? "∗" : token, /^[()[\]|]$/.test(token) ? { stretchy: "false" } : {});
  }

  #command(name) {
    if (name in SPACES) return node("mspace", { width: SPACES[name] });
    if (Object.hasOwn(letters, name)) return node("mi", {}, letters[name]);
    if (Object.hasOwn(operators, name)) return operator(operators[name]);
    if (Object.hasOwn(largeOperators, name)) return operator(largeOperators[name], name.endsWith("int") ? {} : { "data-limits": "", movablelimits: "true" });
    if (functions.has(name)) return operator(name, { form: "prefix", lspace: "0.1em", rspace: "0.17em", ...(/lim|max|min|sup|inf/.test(name) ? { "data-limits": "", movablelimits: "true" } : {}) });
    if (TEXT.has(name)) return node("mtext", {}, this.#rawArgument().replace(/^ | $/g, "\u00a0"));
    if (Object.hasOwn(accents, name)) return node("mover", { accent: "true" }, this.#argument(), operator(accents[name]));
    if (Object.hasOwn(alphabets, name)) return node("mi", { mathvariant: "normal" }, inAlphabet(this.#rawArgument(), alphabets[name]));
    if (IGNORED.has(name)) return null;
    if (/^[{}%$#&_]$/.test(name)) return operator(name, /[{}]/.test(name) ? { stretchy: "false" } : {});
    switch (name) {
      case "frac": case "dfrac": case "tfrac": case "cfrac":
        return node("mfrac", {}, this.#argument(), this.#argument());
      case "binom":
        return row([operator("("), node("mfrac", { linethickness: "0" }, this.#argument(), this.#argument()), operator(")")]);
      case "sqrt":
        return this.#root();
      case "boxed": case "fbox":
        return node("mrow", { class: "boxed" }, this.#argument());
      case "underbrace": case "underline":
        return node("munder", {}, this.#argument(), operator(name === "underline" ? "_" : "⏟"));
      case "overset": case "stackrel": {
        const above = this.#argument();
        return node("mover", {}, this.#argument(), above);
      }
      case "pmod":
        return row([node("mspace", { width: "0.5em" }), operator("(", { stretchy: "false" }),
          operator("mod", { rspace: "0.25em" }), this.#argument(), operator(")", { stretchy: "false" })]);
      case "bmod":
        return operator("mod", { lspace: "0.25em", rspace: "0.25em" });
      case "left":
        return this.#fenced();
      case "begin":
        return this.#table();
      default:
        throw new UnknownTex();
    }
  }

  #root() {
    if (this.#peek() !== "[") return node("msqrt", {}, this.#argument());
    this.#at += 1;
    const degree = row(this.#until("]"));
    return node("mroot", {}, this.#argument(), degree);
  }

  #fence() {
    const token = this.#take();
    const text = token[0] === "\\" ? operators[token.slice(1)] ?? token.slice(1) : token;
    if ([...text].length !== 1) throw new UnknownTex();
    return text === "." ? null : operator(text, { stretchy: "true" });
  }

  #fenced() {
    const open = this.#fence();
    const inner = this.#until("\\right");
    const close = this.#fence();
    return node("mrow", {}, ...[open, ...inner, close].filter(Boolean));
  }

  #table() {
    const name = this.#rawArgument().replace("*", "");
    if (!Object.hasOwn(TABLES, name)) throw new UnknownTex();
    if (name === "array") this.#rawArgument();
    const rows = [];
    let cells = [];
    for (let end = null; end !== "\\end";) {
      const inner = this.#until("&", "\\\\", "\\end");
      end = this.tokens[this.#at - 1].text;
      cells.push(node("mtd", {}, ...inner));
      if (end === "&") continue;
      if (end !== "\\end" || inner.length > 0 || cells.length > 1) rows.push(node("mtr", {}, ...cells));
      cells = [];
    }
    this.#rawArgument();
    const kind = /cases|align|split/.test(name) ? "aligned" : "plain";
    const [open, close] = TABLES[name];
    return node("mrow", {}, ...[open && operator(open, { stretchy: "true" }), node("mtable", { class: kind }, ...rows),
      close && operator(close, { stretchy: "true" })].filter(Boolean));
  }
}

function inAlphabet(text, alphabet) {
  const [upper, lower] = CODE_POINTS[alphabet];
  return [...text].map((letter) => {
    const older = [...OLDER[alphabet]];
    const found = older.indexOf(letter);
    if (found >= 0 && found % 2 === 0) return older[found + 1];
    if (/[A-Z]/.test(letter)) return String.fromCodePoint(upper + letter.charCodeAt(0) - 65);
    if (/[a-z]/.test(letter)) return String.fromCodePoint(lower + letter.charCodeAt(0) - 97);
    return letter;
  }).join("");
}
