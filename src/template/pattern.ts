// Regular expressions of extractors → patterns of Lua. Lua has no alternatives and no groups that repeat; everything else that such
// expressions need fits: characters, classes, one-character repeats, groups that capture, and the whole value has to match.
import { TemplateFault } from "./ast.ts";

export interface LuaPattern {
  readonly pattern: string;
  readonly groups: number;
}

/** Throws a {@link TemplateFault} where Lua cannot match the same. The expression has to cover the whole value, as `regex_match` asks. */
export function luaPattern(regex: string): LuaPattern {
  const refuse = (what: string): never => {
    throw new TemplateFault(`the regular expression ${JSON.stringify(regex)} has ${what}, which is not supported yet`);
  };
  let out = "";
  let groups = 0;
  let open = 0;
  let at = regex.startsWith("^") ? 1 : 0;
  const end = regex.endsWith("$") && !regex.endsWith("\\$") ? regex.length - 1 : regex.length;
  while (at < end) {
    const character = regex[at] ?? "";
    if (character === "(") {
      if (regex[at + 1] === "?") refuse("a group with (?");
      groups++;
      open++;
      out += "(";
      at++;
      continue;
    }
    if (character === ")") {
      if (open === 0) refuse("a ) too many");
      open--;
      out += ")";
      at++;
      if (/[*+?{]/.test(regex[at] ?? "") && at < end) refuse("a group that repeats");
      continue;
    }
    if (/[|{}*+?^$]/.test(character)) refuse(JSON.stringify(character));
    const [item, next] = oneCharacter(regex, at, refuse);
    at = next;
    out += item;
    if (at < end && /[*+?]/.test(regex[at] ?? "")) {
      out += regex[at++];
      if (regex[at] === "?") refuse("a lazy repeat");
    }
  }
  if (open > 0) refuse("a group without end");
  if (groups > 30) refuse("too many groups");
  return { pattern: `^${out}$`, groups };
}

type Refuse = (what: string) => never;

const classes: Record<string, string> = { d: "%d", D: "%D", w: "[%w_]", W: "[^%w_]", s: "%s", S: "%S" };

function oneCharacter(regex: string, at: number, refuse: Refuse): [string, number] {
  const character = regex[at] ?? "";
  if (character === ".") return [".", at + 1];
  if (character === "[") return set(regex, at, refuse);
  if (character !== "\\") return [literal(character), at + 1];
  const escaped = regex[at + 1] ?? "";
  const known = classes[escaped];
  if (known !== undefined) return [known, at + 2];
  if (escaped === "" || /[A-Za-z0-9]/.test(escaped)) refuse(`\\${escaped}`);
  return [literal(escaped), at + 2];
}

const named = new Map([
  ["alnum", "%w"],
  ["alpha", "%a"],
  ["digit", "%d"],
  ["lower", "%l"],
  ["upper", "%u"],
  ["space", "%s"],
  ["xdigit", "%x"],
  ["punct", "%p"],
]);

function set(regex: string, begin: number, refuse: Refuse): [string, number] {
  let at = begin + 1;
  let out = "[";
  if (regex[at] === "^") {
    out += "^";
    at++;
  }
  for (; at < regex.length && regex[at] !== "]"; ) {
    const posix = /^\[:([a-z]+):\]/.exec(regex.slice(at, at + 12));
    if (posix) {
      out += named.get(posix[1] ?? "") ?? refuse(posix[0]);
      at += posix[0].length;
      continue;
    }
    const isEscaped = regex[at] === "\\";
    const character = regex[isEscaped ? at + 1 : at] ?? "";
    at += isEscaped ? 2 : 1;
    const known = isEscaped ? classes[character] : undefined;
    if (known !== undefined) {
      if (known.startsWith("[^")) refuse(`\\${character} in a set`);
      out += known.startsWith("[") ? known.slice(1, -1) : known;
    } else if (isEscaped && /[A-Za-z0-9]/.test(character)) refuse(`\\${character}`);
    else if (regex[at] === "-" && regex[at + 1] !== "]" && regex[at + 1] !== undefined) {
      const to = regex[at + 1] ?? "";
      // Lua takes no escapes at the ends of a range.
      if (!/[A-Za-z0-9]/.test(character) || !/[A-Za-z0-9]/.test(to)) refuse("such a range");
      out += `${character}-${to}`;
      at += 2;
    } else out += literal(character);
  }
  if (at >= regex.length) refuse("a set without end");
  return [`${out}]`, at + 1];
}

/** Lua's patterns escape by %; a NUL ends a pattern of Lua 5.1. */
export function literal(character: string): string {
  return /[A-Za-z0-9_/:=&,;<>@!"'#~` ]/.test(character) || character > "\u007f" ? character : `%${character}`;
}
