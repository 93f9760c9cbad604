// Markdown text → a tree of blocks, plain objects. Never fails: what is not understood is a paragraph. Time grows with the text
// and not faster, whatever the text; nesting is bounded. A block keeps its `source`, so that a caller sees which ones changed, and
// says where a text that grows can be read on from: no block reads past a blank line and the next block's first line to decide.

const MOST_NESTED = 8;

const FENCE = /^ {0,3}(`{3,}|~{3,})[ \t]*([^\s`]*)/;
const HEADING = /^ {0,3}(#{1,6})(?:[ \t]|$)/;
const RULE = /^ {0,3}([-*_])[ \t]*(?:\1[ \t]*){2,}$/;
const QUOTE = /^ {0,3}> ?/;
const ITEM = /^( {0,12})([-*+]|\d{1,9}[.)])(?:( {1,4})(?=\S)|[ \t]*$|[ \t]+)/;
const DELIMITERS = /^\|?(?: *:?-+:? *\|)*(?: *:?-+:?)?$/; // of a trimmed line
const MATH = [["$$", "$$"], ["\\[", "\\]"]];

const blank = (line) => line.trim() === "";
const indentOf = (line) => line.length - line.trimStart().length;

// What parseBlocks() reads. The start of a text becomes the start of the whole.
export const plainLines = (text) => text.replace(/\r\n?/g, "\n").replace(/\t/g, "    ");

// Each block has `from`, where it begins in the text, and `fixed`: what stands before it stays as it is, whatever is appended.
export function parseBlocks(text, nested = 0) {
  const lines = text.split("\n");
  const blocks = [];
  const unclosed = new Map(); // a formula's closer → the line up to which no formula is closed
  let from = 0;
  for (let at = 0; at < lines.length;) {
    if (blank(lines[at])) {
      from += lines[at].length + 1;
      at += 1;
      continue;
    }
    const [block, next] = readBlock(lines, at, nested, unclosed);
    block.source = lines.slice(at, next).join("\n");
    block.from = from;
    block.fixed = at > 0 && blank(lines[at - 1]) && at + 1 < lines.length;
    blocks.push(block);
    from += block.source.length + 1;
    at = next;
  }
  return blocks;
}

function readBlock(lines, at, nested, unclosed) {
  const line = lines[at];
  const readers = [readFence, readHeading, readRule, readMath, readTable];
  if (nested < MOST_NESTED) readers.push(readQuote, readList);
  for (const read of readers) {
    const result = read(lines, at, line, nested, unclosed);
    if (result) return result;
  }
  return readParagraph(lines, at);
}

function readFence(lines, at, line) {
  const match = FENCE.exec(line);
  if (!match || (match[1][0] === "`" && line.indexOf("`", match[0].length) >= 0)) return null;
  const [, fence, language] = match;
  const closes = (l) => {
    const t = l.trim();
    return indentOf(l) < 4 && t.length >= fence.length && t === fence[0].repeat(t.length);
  };
  let end = at + 1;
  while (end < lines.length && !closes(lines[end])) end += 1;
  const indent = indentOf(line);
  const code = lines.slice(at + 1, end).map((l) => l.slice(Math.min(indent, indentOf(l)))).join("\n");
  return [{ type: "code", language, text: code }, Math.min(end + 1, lines.length)];
}

function readHeading(lines, at, line) {
  const match = HEADING.exec(line);
  if (!match) return null;
  let text = line.slice(match[0].length).trim();
  let end = text.length;
  while (end > 0 && text[end - 1] === "#") end -= 1;
  if (end === 0 || text[end - 1] === " ") text = text.slice(0, end).trim();
  return [{ type: "heading", level: match[1].length, text }, at + 1];
}

function readRule(lines, at, line) {
  return RULE.test(line) ? [{ type: "rule" }, at + 1] : null;
}

// A formula on lines of its own: Markdown keeps off it. As in TeX it has no blank line.
function readMath(lines, at, line, nested, unclosed) {
  const start = line.trimStart();
  const pair = MATH.find(([open]) => start.startsWith(open));
  if (!pair) return null;
  const [open, close] = pair;
  if (at < (unclosed.get(close) ?? 0)) return null;
  const first = start.slice(open.length);
  for (let end = at; end < lines.length && (end === at || !blank(lines[end])); end += 1) {
    const text = end === at ? first : lines[end];
    const found = text.indexOf(close);
    if (found < 0) {
      unclosed.set(close, end + 1);
      continue;
    }
    if (!blank(text.slice(found + close.length))) {
      unclosed.set(close, end);
      return null; // prose goes on behind it: a paragraph
    }
    const whole = end === at ? [text.slice(0, found)] : [first, ...lines.slice(at + 1, end), text.slice(0, found)];
    return [{ type: "math", text: whole.join("\n").trim() }, end + 1];
  }
  return null;
}

function readQuote(lines, at, line, nested) {
  if (!QUOTE.test(line)) return null;
  let end = at;
  while (end < lines.length && QUOTE.test(lines[end])) end += 1;
  const inner = lines.slice(at, end).map((l) => l.replace(QUOTE, "")).join("\n");
  return [{ type: "quote", blocks: parseBlocks(inner, nested + 1) }, end];
}

function readList(lines, at, line, nested) {
  const first = ITEM.exec(line);
  if (!first || RULE.test(line)) return null;
  const ordered = /\d/.test(first[2]);
  const last = first[2].at(-1);
  const items = [];
  let loose = false;
  let end = at;
  while (end < lines.length) {
    const match = ITEM.exec(lines[end]);
    if (!match || match[1].length >= first[1].length + 4 || match[2].at(-1) !== last || RULE.test(lines[end])) break;
    const content = match[3] === undefined ? match[1].length + match[2].length + 1 : match[0].length;
    const body = [lines[end].slice(match[0].length)];
    let next = end + 1;
    let gap = false;
    for (; next < lines.length; next += 1) {
      const current = lines[next];
      if (blank(current)) {
        gap = true;
      } else if (indentOf(current) >= Math.min(content, match[1].length + 2)) {
        // what is written under the item, or a little less deep than exactly under it
        if (gap) loose = true;
        gap = false;
      } else if (gap || startsBlock(lines, next)) {
        break;
      }
      body.push(current.slice(Math.min(content, indentOf(current))));
    }
    items.push(parseBlocks(body.join("\n"), nested + 1));
    end = next;
    if (gap && end < lines.length && ITEM.test(lines[end])) loose = true;
  }
  return [{ type: "list", ordered, start: ordered ? Number.parseInt(first[2], 10) : 1, loose, items }, end];
}

function startsBlock(lines, at) {
  const line = lines[at];
  return FENCE.test(line) || HEADING.test(line) || RULE.test(line) || QUOTE.test(line) || ITEM.test(line);
}

function readTable(lines, at, line) {
  if (at + 1 >= lines.length || !line.includes("|")) return null;
  const delimiter = lines[at + 1];
  if (!delimiter.includes("-") || !delimiter.includes("|") || !DELIMITERS.test(delimiter.trim())) return null;
  const align = cells(delimiter).map((c) => (c.startsWith(":") && c.endsWith(":") ? "center" : c.endsWith(":") ? "right" : null));
  const head = cells(line);
  if (head.length !== align.length) return null;
  let end = at + 2;
  const rows = [];
  while (end < lines.length && lines[end].includes("|") && !blank(lines[end])) {
    const row = cells(lines[end]).slice(0, head.length);
    while (row.length < head.length) row.push("");
    rows.push(row);
    end += 1;
  }
  return [{ type: "table", head, align, rows }, end];
}

// The cells of a row; a bar behind a backslash or within code is text.
function cells(line) {
  const text = line.trim();
  const result = [];
  let cell = "";
  let code = false;
  for (let i = text.startsWith("|") ? 1 : 0; i < text.length; i += 1) {
    if (text[i] === "\\" && text[i + 1] === "|") {
      cell += "|";
      i += 1;
    } else if (text[i] === "|" && !code) {
      result.push(cell.trim());
      cell = "";
    } else {
      if (text[i] === "`") code = !code && text.indexOf("`", i + 1) > 0;
      cell += text[i];
    }
  }
  if (cell.trim() !== "") result.push(cell.trim());
  return result;
}

function readParagraph(lines, at) {
  let end = at + 1;
  while (end < lines.length && !blank(lines[end]) && !interrupts(lines[end])) end += 1;
  return [{ type: "paragraph", text: lines.slice(at, end).map((l) => l.trim()).join("\n") }, end];
}

// A number at the start of a line of prose is no list unless it is 1.
function interrupts(line) {
  const item = ITEM.exec(line);
  return FENCE.test(line) || HEADING.test(line) || QUOTE.test(line) || RULE.test(line)
    || (item !== null && !blank(line.slice(item[0].length)) && (!/\d/.test(item[2]) || /^1[.)]$/.test(item[2])));
}
