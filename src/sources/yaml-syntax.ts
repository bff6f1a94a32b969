// A YAML syntax error in words that help. The fast parser's are short; for the file that is broken, and only for it, the slower
// parser of `yaml` is asked too, and typical mistakes are named.
import type { Finding } from "./yaml.ts";

/** The finding for a text that the fast parser refused at an offset, with its reason. */
export function explainSyntax(text: string, reason: string, at: number): Finding {
  const known = knownMistake(text, reason, at);
  if (known) return known;
  return { reason: "SyntaxError", message: reason, ...spanAt(text, at) };
}

function knownMistake(text: string, reason: string, at: number): Finding | undefined {
  const finding = (message: string, hint: string, start = at): Finding => ({
    reason: "SyntaxError",
    message,
    hint,
    ...spanAt(text, start),
  });
  const lineStart = text.lastIndexOf("\n", at - 1) + 1;
  const lineEnd = text.indexOf("\n", at) === -1 ? text.length : text.indexOf("\n", at);
  const line = text.slice(lineStart, lineEnd);
  if (reason.includes("null byte")) return finding("the file holds a NUL byte, so it is not text", "save it as UTF-8");
  const tab = /^ *\t/.exec(line);
  if (tab || reason.includes("tab character")) {
    const start = tab ? lineStart + tab[0].length - 1 : at;
    return finding("YAML is indented by spaces; here is a tab", "replace the tab by spaces", start);
  }
  const template = line.indexOf("{{");
  if (template !== -1)
    return finding("here is a template that was not rendered", "render it first, or quote the value", lineStart + template);
  const reserved = /:\s+([@`%])/.exec(line);
  if (reserved) return finding(`a value cannot begin with ${reserved[1]}`, "quote it", lineStart + reserved.index + reserved[0].length - 1);
  if (reason.includes("flow collection") && reason.includes("end of the stream")) {
    return finding("the file ends inside of [ ] or { }", "close the bracket");
  }
  if (reason.includes("quoted scalar")) return finding("the file ends inside of a quoted text", "close the quote");
  const twoColons = /^(\s*(?:- )?[^\s'"#{[][^:]*: +)([^'"{[|>#][^#]*?: )/.exec(line);
  if (reason.includes("mapping entry") && twoColons) {
    return finding('a value cannot hold ": "', "quote the value, or put it on its own line", lineStart + twoColons[1]!.length);
  }
  if (reason.includes("bad indentation")) {
    return finding(reason, "give it the same indentation as its neighbours");
  }
  return undefined;
}

/** What to mark: to the end of the word at the offset; the last visible character when the offset is at the end of the text. */
function spanAt(text: string, at: number): { start: number; end: number } {
  let start = Math.min(at, text.length);
  if (start === text.length) start = Math.max(0, text.trimEnd().length - (text.trimEnd() === "" ? 0 : 0));
  const rest = /^[^\s]+/.exec(text.slice(start, start + 80));
  return { start, end: start + (rest ? rest[0].length : 1) };
}
