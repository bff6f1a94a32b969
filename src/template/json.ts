// JSON in bytes ↔ values, as strictly as Gloo's filter reads it: UTF-8 has to be valid, numbers have to fit. Written with keys in order,
// without blanks. lua/json.ts does the same in Lua, with the same words.
import { maxDepth, TemplateFault } from "./ast.ts";
import { formatFloat } from "./numbers.ts";
import { Big, Float, isArray, isObject, sortedKeys, type Value } from "./value.ts";

/** Throws a {@link TemplateFault} that names the byte. */
export function parseJson(text: string): Value {
  return new Reader(text).whole();
}

const numbers = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?/y;
// biome-ignore lint/suspicious/noControlCharactersInRegex: they end a string of JSON
const plain = /[^"\\\x00-\x1f]*/y;
const escapes: Readonly<Record<string, string>> = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

class Reader {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  whole(): Value {
    if (this.#text.startsWith("\xef\xbb\xbf")) this.#at = 3;
    const value = this.#value(0);
    this.#blanks();
    if (this.#at < this.#text.length) this.#fail();
    return value;
  }

  #fail(): never {
    throw new TemplateFault(`this is not valid JSON, at byte ${this.#at + 1}`);
  }

  #blanks(): void {
    for (;;) {
      const c = this.#text.charCodeAt(this.#at);
      if (c !== 0x20 && c !== 0x0a && c !== 0x0d && c !== 0x09) return;
      this.#at++;
    }
  }

  #value(depth: number): Value {
    if (depth > maxDepth) throw new TemplateFault("this JSON is nested too deeply");
    this.#blanks();
    switch (this.#text[this.#at]) {
      case '"':
        return this.#string();
      case "{":
        return this.#object(depth);
      case "[":
        return this.#array(depth);
      case "t":
        return this.#word("true", true);
      case "f":
        return this.#word("false", false);
      case "n":
        return this.#word("null", null);
      default:
        return this.#number();
    }
  }

  #word<T>(word: string, value: T): T {
    if (!this.#text.startsWith(word, this.#at)) this.#fail();
    this.#at += word.length;
    return value;
  }

  #number(): Value {
    numbers.lastIndex = this.#at;
    const found = numbers.exec(this.#text);
    if (!found) this.#fail();
    const begin = this.#at;
    this.#at = numbers.lastIndex;
    const value = numberOf(found[0], found[1] !== undefined || found[2] !== undefined);
    if (value !== undefined) return value;
    this.#at = begin;
    throw new TemplateFault(`this number is too large, at byte ${begin + 1}`);
  }

  #array(depth: number): Value {
    const list: Value[] = [];
    this.#at++;
    this.#blanks();
    if (this.#text[this.#at] === "]") this.#at++;
    else
      do list.push(this.#value(depth + 1));
      while (this.#goesOn("]"));
    return list;
  }

  #object(depth: number): Value {
    const object = new Map<string, Value>();
    this.#at++;
    this.#blanks();
    if (this.#text[this.#at] === "}") this.#at++;
    else
      do {
        this.#blanks();
        if (this.#text[this.#at] !== '"') this.#fail();
        const key = this.#string();
        this.#blanks();
        if (this.#text[this.#at] !== ":") this.#fail();
        this.#at++;
        object.set(key, this.#value(depth + 1));
      } while (this.#goesOn("}"));
    return object;
  }

  #goesOn(closing: string): boolean {
    this.#blanks();
    const c = this.#text[this.#at];
    if (c !== closing && c !== ",") this.#fail();
    this.#at++;
    return c === ",";
  }

  #string(): string {
    let out = "";
    for (this.#at++; ; ) {
      plain.lastIndex = this.#at;
      const chunk = plain.exec(this.#text)?.[0] ?? "";
      if (!isUtf8(chunk)) this.#fail();
      out += chunk;
      this.#at += chunk.length;
      const c = this.#text[this.#at];
      if (c === '"') {
        this.#at++;
        return out;
      }
      if (c !== "\\") this.#fail();
      out += this.#escape();
    }
  }

  #escape(): string {
    const e = this.#text[this.#at + 1] ?? "";
    if (e !== "u") {
      const known = escapes[e];
      if (known === undefined) this.#fail();
      this.#at += 2;
      return known;
    }
    let code = this.#unit();
    if (code >= 0xdc00 && code < 0xe000) this.#fail();
    if (code >= 0xd800 && code < 0xdc00) {
      const low = this.#unit();
      if (low < 0xdc00 || low >= 0xe000) this.#fail();
      code = 0x10000 + (code - 0xd800) * 0x400 + (low - 0xdc00);
    }
    return bytesOf(String.fromCodePoint(code));
  }

  /** A `\uXXXX`, which ends up behind. */
  #unit(): number {
    const digits = this.#text.slice(this.#at, this.#at + 6);
    if (!/^\\u[0-9A-Fa-f]{4}$/.test(digits)) this.#fail();
    this.#at += 6;
    return Number.parseInt(digits.slice(2), 16);
  }
}

const lowest = -(2n ** 63n);
const highest = 2n ** 64n;

/** Undefined: it is beyond any number. */
export function numberOf(text: string, isFloat: boolean): Value | undefined {
  const value = Number(text);
  if (!isFloat) {
    if (Number.isSafeInteger(value)) return value + 0;
    const exact = BigInt(text);
    if (exact >= lowest && exact < highest) return new Big(text);
  }
  return Number.isFinite(value) ? new Float(value) : undefined;
}

/** A text in UTF-16 as bytes. */
export function bytesOf(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII is its own bytes
  return /^[\x00-\x7f]*$/.test(text) ? text : Buffer.from(text, "utf8").toString("latin1");
}

/** Bytes as a text in UTF-16; what is no UTF-8 is replaced. */
export function textOfBytes(bytes: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: ASCII is its own bytes
  return /^[\x00-\x7f]*$/.test(bytes) ? bytes : Buffer.from(bytes, "latin1").toString("utf8");
}

const utf8 =
  // biome-ignore lint/suspicious/noControlCharactersInRegex: bytes
  /^(?:[\x00-\x7f]|[\xc2-\xdf][\x80-\xbf]|\xe0[\xa0-\xbf][\x80-\xbf]|[\xe1-\xec\xee\xef][\x80-\xbf]{2}|\xed[\x80-\x9f][\x80-\xbf]|\xf0[\x90-\xbf][\x80-\xbf]{2}|[\xf1-\xf3][\x80-\xbf]{3}|\xf4[\x80-\x8f][\x80-\xbf]{2})*$/;

export function isUtf8(bytes: string): boolean {
  if (!/[\x80-\xff]/.test(bytes)) return true;
  // In pieces: a pattern that repeats this often needs a deep stack.
  return bytes.length < 1000 ? utf8.test(bytes) : Buffer.from(bytes, "latin1").toString("utf8") === decoded(bytes);
}

function decoded(bytes: string): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(Buffer.from(bytes, "latin1"));
  } catch {
    return undefined;
  }
}

const short: Readonly<Record<string, string>> = {
  "\b": "\\b",
  "\f": "\\f",
  "\n": "\\n",
  "\r": "\\r",
  "\t": "\\t",
  '"': '\\"',
  "\\": "\\\\",
};

/** As it stands between the quotes of JSON. */
export function escaped(text: string): string {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: they are escaped
  if (!/[\x00-\x1f"\\\x80-\xff]/.test(text)) return text;
  if (!isUtf8(text)) throw new TemplateFault("a text is not valid UTF-8");
  return text.replace(
    // biome-ignore lint/suspicious/noControlCharactersInRegex: they are escaped
    /[\x00-\x1f"\\]/g,
    (c) => short[c] ?? `\\u${c.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

export function dumpJson(value: Value): string {
  if (typeof value === "string") return `"${escaped(value)}"`;
  if (value instanceof Float) return formatFloat(value.value);
  if (value instanceof Big) return value.text;
  if (isArray(value)) return `[${value.map(dumpJson).join()}]`;
  if (isObject(value))
    return `{${sortedKeys(value)
      .map((key) => `"${escaped(key)}":${dumpJson(value.get(key) as Value)}`)
      .join()}}`;
  return String(value);
}
