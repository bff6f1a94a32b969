// A YAML syntax error in words that help: the parser's own tell what it wanted, these tell what is most likely wrong, and where
// that began. Only broken files come here, so it may take its time.
import type { Span } from "./yaml-node.ts";

export interface SyntaxFinding extends Span {
  readonly reason: "SyntaxError";
  readonly message: string;
  readonly hint?: string;
}

/** What was tripped over: the text, the parser's reason, the offset, and the line there. */
interface Trip {
  readonly text: string;
  readonly reason: string;
  readonly at: number;
  readonly line: string;
  readonly lineStart: number;
}

type Explanation = { readonly message: string; readonly hint: string; readonly at?: number } | undefined;

/** The finding for a text that the parser refused at an offset, for a reason of its own. */
export function explainSyntax(text: string, reason: string, at: number): SyntaxFinding {
  const lineStart = text.lastIndexOf("\n", at - 1) + 1;
  const lineEnd = text.indexOf("\n", at) === -1 ? text.length : text.indexOf("\n", at);
  const trip: Trip = { text, reason, at, line: text.slice(lineStart, lineEnd), lineStart };
  for (const explain of explanations) {
    const found = explain(trip);
    if (found) return { reason: "SyntaxError", message: found.message, hint: found.hint, ...spanAt(text, found.at ?? at) };
  }
  return { reason: "SyntaxError", message: reason, ...spanAt(text, at) };
}

/** The first that applies is told. */
const explanations: readonly ((trip: Trip) => Explanation)[] = [
  nul,
  mergeConflict,
  tab,
  template,
  star,
  reservedCharacter,
  otherBracket,
  bracketInValue,
  unclosed,
  strayBracket,
  afterClosing,
  missingComma,
  colonInValue,
  listInValue,
  blockText,
  lineWithoutColon,
  escapeSequence,
  indentation,
  strayLine,
];

function nul({ reason }: Trip): Explanation {
  if (!reason.includes("null byte") && !reason.includes("non-printable")) return undefined;
  return { message: "the file holds a control character, so it is not text", hint: "save it as UTF-8 text" };
}

function mergeConflict({ text }: Trip): Explanation {
  const marker = /^(<{7} |={7}$|>{7} )/m.exec(text);
  return marker ? { message: "here is a merge conflict", hint: "settle it, and remove its marks", at: marker.index } : undefined;
}

function tab({ line, lineStart, reason, at }: Trip): Explanation {
  // A tab behind a colon is fine, unless a bracket opens after it that does not close on the line.
  const found = /^ *\t/.exec(line) ?? (reason.includes("deficient indentation") ? /^[^\t#"']*\t/.exec(line) : null);
  if (!found && !reason.includes("tab character")) return undefined;
  const message = "YAML is indented by spaces; here is a tab";
  return { message, hint: "replace the tab by spaces", at: found ? lineStart + found[0].length - 1 : at };
}

function template({ line, lineStart }: Trip): Explanation {
  const found = line.indexOf("{{");
  if (found === -1) return undefined;
  return { message: "here is a template that was not rendered", hint: "render it first, or quote the value", at: lineStart + found };
}

/** `- *` and `[*]`: to YAML an alias that lacks its name; to whoever wrote it, most often all domains. */
function star({ text, reason, at }: Trip): Explanation {
  const sign = /name of an (alias|anchor) node/.exec(reason)?.[1];
  if (sign === undefined) return undefined;
  const [char, what] = sign === "alias" ? ["*", "repeats an anchor"] : ["&", "marks an anchor"];
  const start = text.lastIndexOf(char, at);
  const word = /^[^\s,\]}]*/.exec(text.slice(start, start + 80))?.[0] ?? char;
  return { message: `to YAML, a value that begins with ${char} ${what}`, hint: `quote it, as text: "${word}"`, at: start };
}

function reservedCharacter({ text, line, lineStart, reason, at }: Trip): Explanation {
  const inBrackets = reason.startsWith("missed comma") && /[@`%|>]/.test(text[at] ?? "") ? at : undefined;
  const found = /(?:^|[:-] )\s*([@`%])/.exec(line);
  const where = inBrackets ?? (found ? lineStart + found.index + found[0].length - 1 : undefined);
  return where === undefined ? undefined : { message: `a value cannot begin with ${text[where]}`, hint: "quote it", at: where };
}

/** `[{a: 1]` */
function otherBracket({ text, reason, at }: Trip): Explanation {
  const close = text[at] ?? "";
  const open = reason.startsWith("missed comma") && /[\]}]/.test(close) ? openBefore(text, at) : undefined;
  if (open === undefined || text[open] === (close === "]" ? "[" : "{")) return undefined;
  const wanted = text[open] === "[" ? "]" : "}";
  return { message: `here is a ${close}, and the last that was opened is a ${text[open]}`, hint: `close that one first, by ${wanted}` };
}

/** `{regex: /[a-z]+}` */
function bracketInValue({ text, reason, at }: Trip): Explanation {
  if (!reason.startsWith("missed comma") || !/[[{]/.test(text[at] ?? "") || /[\s,[{:]/.test(text[at - 1] ?? " ")) return undefined;
  const before = /[^\s,[{]+$/.exec(text.slice(0, at))?.[0] ?? "";
  return {
    message: "a value inside of brackets cannot hold brackets or commas of its own",
    hint: "quote the value",
    at: at - before.length,
  };
}

function unclosed({ text, reason, at }: Trip): Explanation {
  if (!/deficient indentation|end of the (stream|document)|flow collection/.test(reason)) return undefined;
  const open = openBefore(text, at);
  if (open === undefined) return undefined;
  const isQuote = text[open] === '"' || text[open] === "'";
  if (!isQuote && reason.startsWith("missed comma")) return undefined;
  const what = isQuote ? "quote" : "bracket";
  return { message: `the ${text[open]} is not closed`, hint: `close the ${what}`, at: open };
}

/** The bracket or quote that is still open at an offset. Brackets and quotes only count where a value may begin. */
function openBefore(text: string, at: number): number | undefined {
  const open: number[] = [];
  let canBegin = true;
  for (let i = 0; i < at && i < text.length; i++) {
    const char = text[i]!;
    if (char === "\n" && open.length === 0) canBegin = true;
    else if (char === "#" && (i === 0 || /\s/.test(text[i - 1]!))) i = lineEndAt(text, i) - 1;
    else if ((char === "[" || char === "{") && canBegin) open.push(i);
    else if ((char === "]" || char === "}") && open.length > 0) open.pop();
    else if ((char === '"' || char === "'") && canBegin) {
      const close = closingQuote(text, i, at);
      if (close === undefined) return i;
      i = close;
      canBegin = false;
    } else if (char !== " " && char !== "\n") canBegin = char === "," || (/[:-]/.test(char) && /\s/.test(text[i + 1] ?? "\n"));
  }
  return open.at(-1);
}

function closingQuote(text: string, from: number, before: number): number | undefined {
  const quote = text[from];
  for (let i = from + 1; i < before && i < text.length; i++) {
    if (quote === '"' && text[i] === "\\") i++;
    else if (text[i] === quote && quote === "'" && text[i + 1] === "'") i++;
    else if (text[i] === quote) return i;
  }
  return undefined;
}

function lineEndAt(text: string, from: number): number {
  const end = text.indexOf("\n", from);
  return end === -1 ? text.length : end;
}

function missingComma({ reason }: Trip): Explanation {
  if (!reason.includes("missed comma")) return undefined;
  return { message: "a comma is missing before this", hint: "separate the items by commas" };
}

function colonInValue({ reason, line, lineStart }: Trip): Explanation {
  if (!reason.includes("mapping entry")) return undefined;
  const found = /^(\s*(?:- )*[^\s'"#{[][^:]*: +)([^'"{[|>#][^#]*?: )/.exec(line);
  if (!found) return undefined;
  return { message: 'a value cannot hold ": "', hint: "quote the value, or put it on lines of its own", at: lineStart + found[1]!.length };
}

function listInValue({ reason, line, lineStart }: Trip): Explanation {
  const found = reason.includes("mapping entry") ? /^[^#'"]*: +(?=- )/.exec(line) : undefined;
  if (!found) return undefined;
  return { message: "a list does not begin on the line of its key", hint: "put it on lines of its own", at: lineStart + found[0].length };
}

function afterClosing({ reason, text, at }: Trip): Explanation {
  const isNext = reason.startsWith("missed comma") && /["']/.test(text[at - 1] ?? "") && /\w/.test(text[at] ?? "");
  if (!isNext && !reason.includes("mapping entry")) return undefined;
  const before = text.slice(0, at).trimEnd();
  // On this line only: what follows on the next one is a matter of indentation.
  if (text.slice(before.length, at).includes("\n")) return undefined;
  if (/["']$/.test(before)) return { message: "here is more after the closing quote", hint: "put all of the value inside of the quotes" };
  if (!/[\]}]$/.test(before)) return undefined;
  return { message: `here is more after the closing ${before.at(-1)}`, hint: "quote the whole value, if it is meant as text" };
}

function blockText({ text, reason, at }: Trip): Explanation {
  const sign = reason.includes("line break is expected") ? /[|>][-+\d]*[ \t]*$/.exec(text.slice(0, at)) : null;
  if (!sign) return undefined;
  const message = `to YAML, a value that begins with ${sign[0][0]} is a text that begins on the next line`;
  return { message, hint: "quote the value, or begin it on the next line", at: sign.index };
}

function strayBracket({ text, at }: Trip): Explanation {
  if (!/[\]}]/.test(text[at] ?? "")) return undefined;
  return { message: `here is a ${text[at]} without its other half`, hint: "remove it, or open it before" };
}

function lineWithoutColon({ reason, text, at }: Trip): Explanation {
  if (!/multiline key|expected ':'|document separator is expected/.test(reason)) return undefined;
  // The parser notices at the end of the line, or in the next one.
  for (const start of [text.lastIndexOf("\n", at - 1) + 1, previousLine(text, at)]) {
    if (start === undefined) continue;
    const line = text.slice(start, lineEndAt(text, start));
    if (line.trim() === "" || /^\s*#/.test(line) || /^(---|\.\.\.)/.test(line) || /:(\s|$)|^\s*- /.test(line)) continue;
    const hint = /^\s*[^\s:]+:[^\s/]/.test(line) ? "put a space after the colon" : 'a ": " is missing, or the line above wants more';
    return { message: 'this line is no "key: value"', hint, at: start + (line.length - line.trimStart().length) };
  }
  return undefined;
}

function previousLine(text: string, at: number): number | undefined {
  const lineStart = text.lastIndexOf("\n", at - 1);
  return lineStart === -1 ? undefined : text.lastIndexOf("\n", lineStart - 1) + 1;
}

function escapeSequence({ reason }: Trip): Explanation {
  if (!reason.includes("escape") && !reason.includes("hexadecimal")) return undefined;
  return { message: "an unknown escape in double quotes", hint: "write \\\\ for a backslash, or use single quotes" };
}

function indentation({ reason }: Trip): Explanation {
  if (!reason.includes("indentation")) return undefined;
  return { message: reason, hint: "give the line the same indentation as its neighbours" };
}

function strayLine({ reason }: Trip): Explanation {
  if (!reason.includes("document separator is expected")) return undefined;
  return { message: "this does not go with what is above it", hint: "check the indentation here and above" };
}

/** To the end of the word at the offset; the last visible character when the offset is at a line's end. */
function spanAt(text: string, at: number): Span {
  let start = Math.min(at, text.length);
  if (/^\s*$/.test(text.slice(start, lineEndAt(text, start)))) {
    while (start > 0 && /\s/.test(text[start] ?? " ") && text[start - 1] !== "\n") start--;
  }
  const word = /^\S+/.exec(text.slice(start, start + 80));
  return { start, end: start + (word ? word[0].length : 1) };
}
