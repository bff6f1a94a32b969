// Reads the XML that AWS's older services answer with: elements and text, no more. Attributes, comments and declarations are skipped;
// there are no entities but the five of XML and numeric ones, so nothing expands.

export interface XmlElement {
  readonly name: string;
  readonly children: readonly XmlElement[];
  readonly text: string;
}

/** Throws a SyntaxError on what is not well-formed. */
export function parseXml(source: string): XmlElement {
  const root = { name: "", children: [] as XmlElement[], text: "" };
  const open: { name: string; children: XmlElement[]; text: string }[] = [root];
  const token =
    /<!--[\s\S]*?-->|<\?[\s\S]*?\?>|<!\[CDATA\[([\s\S]*?)\]\]>|<(\/?)([^\s/>!?]+)((?:\s+[^\s=/>]+\s*=\s*(?:"[^"]*"|'[^']*'))*)\s*(\/?)>|([^<]+)/gy;
  let at = 0;
  for (let match = token.exec(source); match !== null; match = token.exec(source)) {
    at = token.lastIndex;
    const [, cdata, close, name, , selfClosing, text] = match;
    const current = open.at(-1) as (typeof open)[number];
    if (text !== undefined) current.text += decoded(text);
    else if (cdata !== undefined) current.text += cdata;
    else if (name === undefined) continue;
    else if (close) {
      if (open.length < 2 || current.name !== name) throw new SyntaxError(`</${name}> closes nothing`);
      open.pop();
    } else {
      const element = { name, children: [], text: "" };
      current.children.push(element);
      if (!selfClosing) open.push(element);
      if (open.length > maxDepth) throw new SyntaxError("elements are nested too deeply");
    }
  }
  const [only] = root.children;
  if (at !== source.length || open.length !== 1 || only === undefined || root.children.length !== 1)
    throw new SyntaxError("this is no XML document");
  return only;
}

const maxDepth = 64;

/** The children of this name along a path: `all(root, "reservationSet", "item")`. */
export function all(element: XmlElement, ...path: readonly string[]): readonly XmlElement[] {
  return path.reduce<readonly XmlElement[]>(
    (found, name) => found.flatMap(({ children }) => children.filter((each) => each.name === name)),
    [element],
  );
}

/** The text of the first such child; empty where there is none. */
export function text(element: XmlElement, ...path: readonly string[]): string {
  return all(element, ...path)[0]?.text.trim() ?? "";
}

const entities: Readonly<Record<string, string>> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };

function decoded(source: string): string {
  return source.replace(/&(#x[0-9a-fA-F]{1,6}|#\d{1,7}|\w+);/g, (whole, name: string) => {
    if (!name.startsWith("#")) return entities[name] ?? whole;
    const code = name[1] === "x" ? Number.parseInt(name.slice(2), 16) : Number(name.slice(1));
    return code <= 0x10ffff ? String.fromCodePoint(code) : whole;
  });
}
