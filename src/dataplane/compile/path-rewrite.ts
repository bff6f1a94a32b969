// What becomes of the path of a request that a route takes, and texts that go into messages as they are.

import type { PathTest } from "../match.ts";
import { regex } from "../regex.ts";
import { breaksLines, wireText } from "../text.ts";

interface RegexRewrite {
  readonly pattern?: { readonly regex: string } | undefined;
  readonly substitution: string;
}

/** What becomes of a path (without query); undefined: it stays. */
export function compilePathRewrite(
  prefixRewrite: string,
  regexRewrite: RegexRewrite | undefined,
  path: PathTest,
): ((path: string) => string) | undefined {
  if (regexRewrite !== undefined) {
    const compiled = regex(regexRewrite.pattern?.regex ?? "");
    const { substitution } = regexRewrite;
    literal(substitution, "substitution");
    return (text) => compiled.replaceAll(text, substitution);
  }
  if (prefixRewrite === "") return undefined;
  const rewrite = literal(prefixRewrite, "prefix_rewrite");
  switch (path.kind) {
    case "prefix":
    case "separated prefix": {
      const { length } = path.value;
      return (text) => rewrite + text.slice(length);
    }
    default:
      // An exact path and a regular expression match all of it.
      return () => rewrite;
  }
}

/** A literal that goes into a message; throws when it could break one. */
export function literal(text: string, field: string): string {
  if (breaksLines(text)) throw new Error(`${field} holds a control character`);
  return wireText(text);
}
