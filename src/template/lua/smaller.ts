// The script of transformations stands in every filter chain, so it is made smaller before it is sent: no comments, no needless blanks, short
// names for variables. A name that is also a field somewhere keeps it, so nothing has to be known about where a name is visible.

const tokens =
  /--[^\n]*|"(?:[^"\\]|\\[\s\S])*"|'(?:[^'\\]|\\[\s\S])*'|[A-Za-z_]\w*|0[xX][0-9A-Fa-f]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\.\.\.|\.\.|[=~<>]=|[^\s\w]/g;
const isName = /^[A-Za-z_]/;

export function smaller(lua: string): string {
  const list = (lua.match(tokens) ?? []).filter((each) => !each.startsWith("--"));
  const names = shortNames(list);
  const out: string[] = [];
  let before = "";
  for (const token of list) {
    const text = names.get(token) ?? token;
    if (mustPart(before.charCodeAt(before.length - 1), text.charCodeAt(0))) out.push(" ");
    out.push(text);
    before = text;
  }
  return `${out.join("")}\n`;
}

/** Two words run together, and so do two minus signs, and a number and dots. */
function mustPart(last: number, first: number): boolean {
  if (isWord(last)) return isWord(first) || (first === 0x2e && last >= 0x30 && last <= 0x39);
  return (last === 0x2d && first === 0x2d) || (last === 0x2e && (first === 0x2e || (first >= 0x30 && first <= 0x39)));
}

function isWord(code: number): boolean {
  return (code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x5a) || code === 0x5f || (code >= 0x61 && code <= 0x7a);
}

/** A variable may have the name of one, elsewhere. */
const builtins =
  "self table string math os io next type pairs ipairs error pcall select tonumber tostring setmetatable getmetatable assert require unpack".split(
    " ",
  );

function shortNames(list: readonly string[]): ReadonlyMap<string, string> {
  const declared = new Map<string, number>();
  const kept = new Set(builtins);
  list.forEach((token, i) => {
    if (!isName.test(token)) return;
    const [before = "", after = ""] = [list[i - 1], list[i + 1]];
    const isField = before === "." || before === ":" || ((before === "{" || before === ",") && after === "=");
    if (isField) kept.add(token);
    else declared.set(token, (declared.get(token) ?? 0) + 1);
  });
  const own = new Set(declaredNames(list).filter((each) => !kept.has(each)));
  const taken = new Set([...declared.keys(), ...kept].filter((each) => !own.has(each)));
  const names = new Map<string, string>();
  const short = shortest(taken);
  for (const name of [...own].sort((a, b) => (declared.get(b) ?? 0) - (declared.get(a) ?? 0)))
    names.set(name, short.next().value as string);
  return names;
}

/** Names behind `local`, of parameters, and of loops. */
function declaredNames(list: readonly string[]): string[] {
  const found: string[] = [];
  list.forEach((token, i) => {
    if (token === "function") {
      const open = list.indexOf("(", i);
      found.push(...list.slice(open + 1, list.indexOf(")", open)).filter((each) => isName.test(each)));
    }
    if (token !== "local" && token !== "for") return;
    let at = i + 1;
    if (list[at] === "function") found.push(list[at + 1] as string);
    else
      for (; isName.test(list[at] ?? "") || list[at] === ","; at++)
        if (list[at] === "in") break;
        else if (list[at] !== ",") {
          found.push(list[at] as string);
          if (list[at + 1] !== ",") break;
        }
  });
  return found;
}

const letters = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ";
const keywords = new Set(["do", "if", "in", "or"]);

function* shortest(taken: ReadonlySet<string>): Generator<string> {
  for (const first of ["", ...letters])
    for (const last of letters) {
      const name = first + last;
      if (!taken.has(name) && !keywords.has(name)) yield name;
    }
}
