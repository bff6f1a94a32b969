// RE2 regular expressions: linear in the length of the text, with the syntax that Envoy takes.

import { RE2JS } from "re2js";
import { unicodeText } from "./text.ts";

export interface Regex {
  readonly source: string;
  /** What every match starts with, as far as it is easily told; a cheap test to do first. */
  readonly literalPrefix: string;
  /** Whether the whole text matches. Takes wire text. */
  matches(text: string): boolean;
  /** Every match replaced; `\1` in the substitution is a group, `\\` a backslash. */
  replaceAll(text: string, substitution: string): string;
}

const cache = new Map<string, Regex>();
const cacheLimit = 10_000;

/** Throws for a pattern that RE2 refuses. */
export function regex(source: string): Regex {
  const cached = cache.get(source);
  if (cached !== undefined) return cached;
  const compiled = RE2JS.compile(source);
  const literalPrefix = literalPrefixOf(source);
  const made: Regex = {
    source,
    literalPrefix,
    matches: (text) => text.startsWith(literalPrefix) && compiled.matches(unicodeText(text)),
    replaceAll(text, substitution) {
      const matcher = compiled.matcher(unicodeText(text));
      const subject = unicodeText(text);
      let result = "";
      let from = 0;
      while (matcher.find()) {
        result += subject.slice(from, matcher.start());
        result += substitution.replace(/\\(\d|\\)/g, (_, what: string) => (what === "\\" ? "\\" : (matcher.group(Number(what)) ?? "")));
        from = matcher.end();
      }
      return Buffer.from(result + subject.slice(from), "utf8").toString("latin1");
    },
  };
  if (cache.size >= cacheLimit) cache.clear();
  cache.set(source, made);
  return made;
}

/** `/api/v[0-9]+` begins with `/api/v`. Empty wherever that takes thought. */
export function literalPrefixOf(source: string): string {
  if (source.includes("|")) return "";
  let prefix = "";
  let i = 0;
  while (i < source.length) {
    let char = source[i] as string;
    let next = i + 1;
    if (char === "\\") {
      const escaped = source[next];
      if (escaped === undefined || /[A-Za-z0-9]/.test(escaped)) break;
      char = escaped;
      next++;
    } else if (/[.^$*+?()[\]{}]/.test(char) || char > "~") break;
    // A quantifier may let the character be absent.
    if (/[*?{]/.test(source[next] ?? "")) break;
    prefix += char;
    i = next;
    if (source[i] === "+") break;
  }
  return prefix;
}
