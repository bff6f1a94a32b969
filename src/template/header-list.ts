// Headers of a message as a list, and the parameters of a path, which are such a list, too.

/** In their order, names in lower case, pseudo-headers among them; bytes, one character each. */
export type HeaderList = readonly (readonly [name: string, value: string])[];

export function firstOf(headers: HeaderList, name: string): string {
  return headers.find(([each]) => each === name)?.[1] ?? "";
}

/** All values of a header give way to one, or to none. */
export function replaced(headers: HeaderList, name: string, value: string): HeaderList {
  const at = headers.findIndex(([each]) => each === name);
  const others = headers.filter(([each], i) => each !== name || (i === at && value !== ""));
  if (value === "") return others;
  return at < 0 ? [...headers, [name, value]] : others.map((each) => (each[0] === name ? [name, value] : each));
}

export function queryOf(path: string, isRaw = false): [path: string, query: string, found: HeaderList] {
  const at = path.indexOf("?");
  const [plain, query] = at < 0 ? [path, ""] : [path.slice(0, at), path.slice(at + 1)];
  const parts = query.split("&").filter((each) => each !== "");
  const read = isRaw ? (text: string) => text : decoded;
  const found = parts.map((part): [string, string] => {
    const equal = part.indexOf("=");
    return equal < 0 ? [part, ""] : [read(part.slice(0, equal)), read(part.slice(equal + 1))];
  });
  return [plain, query, found];
}

function decoded(text: string): string {
  return text.replace(/%([0-9A-Fa-f]{2})/g, (_, digits: string) => String.fromCharCode(Number.parseInt(digits, 16)));
}
