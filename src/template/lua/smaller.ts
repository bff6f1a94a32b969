// The script of transformations stands in every filter chain, so it is made smaller before it is sent: no comments, no needless blanks, short
// names for variables. A name that is also a field somewhere keeps it, so nothing has to be known about where a name is visible.

const tokens =
  /--[^\n]*|"(?:[^"\\]|\\[\s\S])*"|'(?:[^'\\]|\\[\s\S])*'|[A-Za-z_]\w*|0[xX][0-9A-Fa-f]+|\d+(?:\.\d+)?(?:[eE][+-]?\d+)?|\.\.\.|\.\.|[=~<>]=|[^\s\w]/g;
const isName = /^[A-Za-z_]/;

export function smaller(lua: string): string {
  const list = (lua.match(tokens) ?? []).filter((each) => !each.startsWith("--"));
  const names = shortNames(list);
  let out = "";
  for (const token of list) {
    const text = names.get(token) ?? token;
    const touches = /\w$/.test(out) && /^\w/.test(text);
    // Between numbers and dots, and between minus signs, a blank keeps apart what is apart.
    const joins =
      (/\d$/.test(out) && text.startsWith(".")) ||
      (out.endsWith("-") && text.startsWith("-")) ||
      (out.endsWith(".") && /^[.\d]/.test(text));
    out += touches || joins ? ` ${text}` : text;
  }
  return `${out}\n`;
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
