// How servers behind a proxy have been seen to read requests, each wrong in its own way. What a proxy forwards must be the same to all of them:
// where two disagree about where a request ends, a client can put one of his own into the gap.

/** The ways in which one differs from RFC 9112. */
export interface Reader {
  readonly name: string;
  /** What ends a line. Default: CR LF. */
  readonly lineEnd?: RegExp;
  /** Of several lengths. Default: the first. */
  readonly length?: "first" | "last";
  /** Default: the digits that it begins with. */
  readonly lengthOf?: (value: string) => number;
  /** Reads the length with both. Default: chunks come first. */
  readonly prefersLength?: boolean;
  /** What counts as the name of a header. Default: as it is written, in lower case. */
  readonly nameOf?: (name: string) => string;
  /** What says that chunks follow. Default: the last coding is `chunked`. */
  readonly isChunked?: (value: string) => boolean;
  /** A line that begins with a space goes on with the header before. */
  readonly unfolds?: boolean;
  /** Breaks on what RFC 9112 allows every client: a proxy has to be plain to it, not clients. */
  readonly isTooStrict?: boolean;
}

export interface ReadRequest {
  readonly line: string;
  readonly headers: readonly (readonly [name: string, value: string])[];
  readonly body: string;
  /** The connection ended within its body. */
  readonly isCut: boolean;
}

const anyEnd = /\r\n|\r|\n/;

export const readers: readonly Reader[] = [
  { name: "by the book" },
  { name: "LF ends a line", lineEnd: /\r?\n/ },
  { name: "CR ends a line", lineEnd: anyEnd },
  { name: "the last length counts", length: "last" },
  { name: "lengths are numbers of any kind", lengthOf: Number },
  { name: "odd lengths are none", lengthOf: (value) => (/^\d+$/.test(value) ? Number(value) : Number.NaN) },
  { name: "the length counts before chunks", prefersLength: true },
  { name: "chunked anywhere in the value", isChunked: (value) => /chunked/i.test(value) },
  { name: "only a plain chunked", isChunked: (value) => value === "chunked", isTooStrict: true },
  // Underscores stay: as with Envoy a user chooses what becomes of them (headersWithUnderscoresAction).
  { name: "names are trimmed, odd characters too", nameOf: (name) => name.toLowerCase().replace(/[^a-z0-9_-]/g, "") },
  { name: "folded lines are joined", unfolds: true },
  { name: "all of it at once", lineEnd: anyEnd, length: "last", isChunked: (value) => /chunk/i.test(value), unfolds: true },
];

/** All requests in what a connection brought, latin1; what is left when the head of the last is not whole is left out. */
export function requestsIn(text: string, reader: Reader): ReadRequest[] {
  const found: ReadRequest[] = [];
  const cursor = new Cursor(text, reader.lineEnd ?? /\r\n/);
  for (;;) {
    let line = cursor.line();
    // An empty line before a request is skipped by all.
    while (line === "") line = cursor.line();
    if (line === undefined) return found;
    const headers = headersAt(cursor, reader);
    if (headers === undefined) return found;
    const body = bodyAt(cursor, headers, reader);
    found.push({ line, headers, body: body.text, isCut: body.isCut });
    if (body.isCut) return found;
  }
}

/** Undefined when they do not come to an end. */
function headersAt(cursor: Cursor, { nameOf = (name) => name.toLowerCase(), unfolds }: Reader): [string, string][] | undefined {
  const headers: [string, string][] = [];
  for (let line = cursor.line(); line !== ""; line = cursor.line()) {
    if (line === undefined) return undefined;
    const last = headers.at(-1);
    if (unfolds && last !== undefined && /^[ \t]/.test(line)) {
      last[1] = `${last[1]} ${line.trim()}`.trim();
      continue;
    }
    const colon = line.indexOf(":");
    headers.push([nameOf(colon < 0 ? line : line.slice(0, colon)), colon < 0 ? "" : line.slice(colon + 1).trim()]);
  }
  return headers;
}

function bodyAt(cursor: Cursor, headers: readonly (readonly [string, string])[], reader: Reader): { text: string; isCut: boolean } {
  const all = (name: string) => headers.filter(([each]) => each === name).map(([, value]) => value);
  const isChunked = reader.isChunked ?? ((value: string) => /(^|,)\s*chunked$/i.test(value));
  const lengths = all("content-length");
  const { lengthOf = (value: string) => Number.parseInt(value, 10) } = reader;
  const written = reader.length === "last" ? lengths.at(-1) : lengths[0];
  const length = written === undefined ? Number.NaN : lengthOf(written);
  const hasLength = Number.isInteger(length) && length >= 0;
  if (all("transfer-encoding").some(isChunked) && !(reader.prefersLength && hasLength)) return chunksAt(cursor);
  return hasLength ? cursor.take(length) : { text: "", isCut: false };
}

function chunksAt(cursor: Cursor): { text: string; isCut: boolean } {
  let text = "";
  for (;;) {
    const size = Number.parseInt(cursor.line() ?? "", 16);
    if (!Number.isInteger(size) || size < 0) return { text, isCut: true };
    if (size === 0) {
      for (let trailer = cursor.line(); trailer !== ""; trailer = cursor.line()) if (trailer === undefined) return { text, isCut: true };
      return { text, isCut: false };
    }
    const chunk = cursor.take(size);
    text += chunk.text;
    if (chunk.isCut || cursor.line() === undefined) return { text, isCut: true };
  }
}

class Cursor {
  readonly #text: string;
  readonly #lineEnd: RegExp;
  #at = 0;

  constructor(text: string, lineEnd: RegExp) {
    this.#text = text;
    this.#lineEnd = new RegExp(lineEnd.source, "g");
  }

  /** Without its end; undefined where none is left. */
  line(): string | undefined {
    this.#lineEnd.lastIndex = this.#at;
    const end = this.#lineEnd.exec(this.#text);
    if (end === null) return undefined;
    const line = this.#text.slice(this.#at, end.index);
    this.#at = end.index + end[0].length;
    return line;
  }

  take(length: number): { text: string; isCut: boolean } {
    const text = this.#text.slice(this.#at, this.#at + length);
    this.#at += text.length;
    return { text, isCut: text.length < length };
  }
}
