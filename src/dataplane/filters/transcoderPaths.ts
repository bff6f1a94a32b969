// Paths of google.api.http rules: `/v1/{name=shelves/*}/books/{book.id}:archive`. https://cloud.google.com/endpoints/docs/grpc/transcoding is the
// grammar in words; what a template has, Envoy's matcher has too, in its order: what is written out goes before `*`, and that before `**`.

export interface PathTemplate {
  /** The values of its variables, when it matches; in their order. */
  match(path: string, keeps: Unescape): readonly Binding[] | undefined;
  /** Sorts templates so that the first that matches is the one that counts. */
  readonly rank: string;
}

/** A value for a field: `book.id` is `["book", "id"]`. */
export interface Binding {
  readonly field: readonly string[];
  readonly value: string;
}

/** What stays escaped in the value of a variable of several segments. */
export type Unescape = "except reserved" | "except slash" | "all";

type Segment = { readonly kind: "text"; readonly text: string } | { readonly kind: "*" } | { readonly kind: "**" };

interface Variable {
  readonly field: readonly string[];
  /** First segment, and the one behind the last. */
  readonly from: number;
  readonly to: number;
}

/** Throws for what is no template. */
export function parseTemplate(source: string): PathTemplate {
  if (!source.startsWith("/")) throw new Error(`the path ${JSON.stringify(source)} does not begin with a slash`);
  const segments: Segment[] = [];
  const variables: Variable[] = [];
  let at = 0;
  const fail = () => new Error(`the path ${JSON.stringify(source)} cannot be read at character ${at + 1}`);
  const readSegments = (end: RegExp) => {
    while (source[at] === "/" || (source[at] !== undefined && !end.test(source[at] as string))) {
      if (source[at] === "/") at++;
      readSegment(end);
    }
  };
  const readSegment = (end: RegExp) => {
    if (source.startsWith("**", at)) {
      segments.push({ kind: "**" });
      at += 2;
    } else if (source[at] === "*") {
      segments.push({ kind: "*" });
      at++;
    } else if (source[at] === "{" && !end.test("/")) readVariable();
    else {
      const [text = ""] = /^[^/{}*:=]*/.exec(source.slice(at)) ?? [];
      if (text === "") throw fail();
      segments.push({ kind: "text", text });
      at += text.length;
    }
  };
  const readVariable = () => {
    const [whole, name] = /^\{([A-Za-z_][\w.]*)/.exec(source.slice(at)) ?? [];
    if (whole === undefined || name === undefined) throw fail();
    at += whole.length;
    const from = segments.length;
    if (source[at] === "=") {
      at++;
      readSegments(/[}]/);
    } else segments.push({ kind: "*" });
    if (source[at] !== "}") throw fail();
    at++;
    variables.push({ field: name.split("."), from, to: segments.length });
  };
  readSegments(/[:}]/);
  const verb = source.slice(at);
  if (verb !== "" && !/^:[^/{}*:]+$/.test(verb)) throw fail();
  return compiled(segments, variables, verb);
}

function compiled(segments: readonly Segment[], variables: readonly Variable[], verb: string): PathTemplate {
  const groups = segments.map((segment) =>
    segment.kind === "text" ? `/(${escaped(segment.text)})` : segment.kind === "*" ? "/([^/]+)" : "(?:/(.*))?",
  );
  const pattern = new RegExp(`^${groups.join("")}${escaped(verb)}$`, "s");
  return {
    rank: `${segments.map(({ kind }) => (kind === "text" ? "1" : kind === "*" ? "2" : "3")).join("")}${verb === "" ? "9" : "0"}`,
    match(path, keeps) {
      const found = pattern.exec(path);
      if (found === null) return undefined;
      return variables.map(({ field, from, to }) => {
        const isLong = to - from > 1 || segments[from]?.kind === "**";
        const parts = found.slice(from + 1, to + 1).map((part) => part ?? "");
        return { field, value: parts.map((part) => unescaped(part, isLong ? keeps : "all")).join("/") };
      });
    },
  };
}

function escaped(text: string): string {
  return text.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
}

const reserved = new Set("!#$&'()*+,/:;=?@[]");

/** Bytes that were written as `%41`; what is no such thing stays as it is. The text is that of the wire, a character for each byte. */
export function unescaped(text: string, how: Unescape, plusIsSpace = false): string {
  return text.replace(plusIsSpace ? /%[0-9a-fA-F]{2}|\+/g : /%[0-9a-fA-F]{2}/g, (code) => {
    if (code === "+") return " ";
    const char = String.fromCharCode(Number.parseInt(code.slice(1), 16));
    const stays = how === "all" ? false : how === "except slash" ? char === "/" : reserved.has(char);
    return stays ? code : char;
  });
}
