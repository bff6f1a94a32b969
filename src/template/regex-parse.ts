// Text → tree of a regular expression.
import { maxDepth, TemplateFault } from "./ast.ts";
import { type ByteSet, digit, joined, one, posix, space, without, word } from "./byte-set.ts";
import { bytesOf } from "./json.ts";
import type { Dialect } from "./regex.ts";

export type Tree =
  | { readonly kind: "set"; readonly set: ByteSet }
  | { readonly kind: "list"; readonly items: readonly Tree[] }
  | { readonly kind: "either"; readonly options: readonly Tree[] }
  | { readonly kind: "group"; readonly number: number; readonly item: Tree }
  | { readonly kind: "repeat"; readonly item: Tree; readonly min: number; readonly max: number; readonly isLazy: boolean }
  | { readonly kind: "look"; readonly isNegative: boolean; readonly item: Tree }
  | { readonly kind: "back"; readonly group: number }
  | { readonly kind: "word"; readonly isBoundary: boolean }
  | { readonly kind: "begin" | "end" };

export interface ParsedRegex {
  readonly tree: Tree;
  readonly groups: number;
}

export function parseRegex(source: string, dialect: Dialect): ParsedRegex {
  const reader = new Reader(bytesOf(source), source, dialect);
  const tree = reader.whole();
  return { tree, groups: reader.groups };
}

class Reader {
  readonly #text: string;
  readonly #shown: string;
  readonly #dialect: Dialect;
  #at = 0;
  groups = 0;
  #highestBack = 0;

  constructor(text: string, shown: string, dialect: Dialect) {
    this.#text = text;
    this.#shown = shown;
    this.#dialect = dialect;
  }

  whole(): Tree {
    const tree = this.#either(0);
    if (this.#at < this.#text.length) this.#fail("a ) too many");
    if (this.#highestBack > this.groups) this.#fail(`\\${this.#highestBack}, but ${this.groups} groups`);
    return tree;
  }

  #fail(what: string): never {
    throw new TemplateFault(`the regular expression ${JSON.stringify(this.#shown)} has ${what}, at character ${this.#at + 1}`);
  }

  #takes(text: string): boolean {
    if (!this.#text.startsWith(text, this.#at)) return false;
    this.#at += text.length;
    return true;
  }

  #either(depth: number): Tree {
    if (depth > maxDepth) this.#fail("groups that are nested too deeply");
    const options = [this.#list(depth)];
    while (this.#takes("|")) options.push(this.#list(depth));
    return options.length === 1 ? (options[0] as Tree) : { kind: "either", options };
  }

  #list(depth: number): Tree {
    const items: Tree[] = [];
    while (this.#at < this.#text.length && this.#text[this.#at] !== "|" && this.#text[this.#at] !== ")") {
      const item = this.#atom(depth);
      items.push(this.#repeated(item));
    }
    return { kind: "list", items };
  }

  #repeated(item: Tree): Tree {
    const begin = this.#at;
    const counts = this.#counts();
    if (counts === undefined) return item;
    if (item.kind === "begin" || item.kind === "end" || item.kind === "word" || item.kind === "look") {
      this.#at = begin;
      this.#fail("nothing that could repeat");
    }
    const [min, max] = counts;
    const repeat: Tree = { kind: "repeat", item, min, max, isLazy: this.#takes("?") };
    if (this.#at < this.#text.length && /[*+?]/.test(this.#text[this.#at] as string)) this.#fail("nothing that could repeat");
    return repeat;
  }

  #counts(): readonly [number, number] | undefined {
    if (this.#takes("*")) return [0, -1];
    if (this.#takes("+")) return [1, -1];
    if (this.#takes("?")) return [0, 1];
    if (this.#text[this.#at] !== "{") return undefined;
    const found = /^\{(\d{1,4})(,(\d{1,4})?)?\}/.exec(this.#text.slice(this.#at, this.#at + 12));
    if (!found) this.#fail("a { that is no number of repeats");
    const min = Number(found[1]);
    const max = found[2] === undefined ? min : found[3] === undefined ? -1 : Number(found[3]);
    if (max >= 0 && max < min) this.#fail("repeats from more to fewer");
    this.#at += found[0].length;
    return [min, max];
  }

  #atom(depth: number): Tree {
    const c = this.#text[this.#at] as string;
    if (/[*+?]/.test(c)) this.#fail("nothing that could repeat");
    if (c === "{") this.#fail("a { without something that repeats");
    if (c === "[") return { kind: "set", set: this.#set() };
    if (c === "(") return this.#group(depth);
    if (c === "\\") return this.#escape();
    this.#at++;
    if (c === "^") return { kind: "begin" };
    if (c === "$") return { kind: "end" };
    if (c === ".") return { kind: "set", set: this.#dialect === "re2" ? without([10, 10]) : without([10, 10, 13, 13]) };
    return { kind: "set", set: one(c) };
  }

  #group(depth: number): Tree {
    const begin = this.#at;
    this.#at++;
    const isEcma = this.#dialect === "ecmascript";
    let tree: Tree;
    if (this.#takes("?:")) tree = this.#either(depth + 1);
    else if (isEcma && this.#takes("?=")) tree = { kind: "look", isNegative: false, item: this.#either(depth + 1) };
    else if (isEcma && this.#takes("?!")) tree = { kind: "look", isNegative: true, item: this.#either(depth + 1) };
    else {
      const named = isEcma ? undefined : /^\?P?<[A-Za-z_]\w*>/.exec(this.#text.slice(this.#at, this.#at + 80))?.[0];
      if (named) this.#at += named.length;
      else if (this.#text[this.#at] === "?") this.#fail("a group with (? that is not supported");
      this.groups++;
      const number = this.groups;
      tree = { kind: "group", number, item: this.#either(depth + 1) };
    }
    if (!this.#takes(")")) {
      this.#at = begin;
      this.#fail("a ( without end");
    }
    return tree;
  }

  #escape(): Tree {
    const e = this.#text[this.#at + 1];
    if (e === undefined) this.#fail("a \\ at the end");
    const isEcma = this.#dialect === "ecmascript";
    if (e === "b" || e === "B") {
      this.#at += 2;
      return { kind: "word", isBoundary: e === "b" };
    }
    if (!isEcma && (e === "A" || e === "z")) {
      this.#at += 2;
      return { kind: e === "A" ? "begin" : "end" };
    }
    if (isEcma && /[1-9]/.test(e)) {
      const digits = /^[1-9]\d?/.exec(this.#text.slice(this.#at + 1, this.#at + 3))?.[0] ?? "";
      const group = Number(digits);
      this.#at += 1 + digits.length;
      this.#highestBack = Math.max(this.#highestBack, group);
      return { kind: "back", group };
    }
    return { kind: "set", set: this.#class() };
  }

  /** An escape that stands for one byte of several. */
  #class(): ByteSet {
    const e = this.#text[this.#at + 1];
    if (e === undefined) this.#fail("a \\ at the end");
    const known = { d: digit, D: without(digit), w: word, W: without(word), s: space, S: without(space) }[e];
    this.#at += 2;
    if (known) return known;
    const control = { t: "\t", n: "\n", v: "\v", f: "\f", r: "\r", a: "\x07" }[e];
    if (control !== undefined && (e !== "a" || this.#dialect === "re2")) return one(control);
    if (e === "0") return [0, 0];
    if (e === "c" && /[A-Za-z]/.test(this.#text[this.#at] ?? "")) {
      const code = this.#text.charCodeAt(this.#at++) % 32;
      return [code, code];
    }
    if (e === "x" || (e === "u" && this.#dialect === "ecmascript")) {
      const digits = this.#text.slice(this.#at, this.#at + (e === "x" ? 2 : 4));
      const code = /^[0-9A-Fa-f]+$/.test(digits) && digits.length === (e === "x" ? 2 : 4) ? Number.parseInt(digits, 16) : -1;
      if (code < 0 || code > 255) this.#fail(`\\${e} without the code of a byte`);
      this.#at += digits.length;
      return [code, code];
    }
    if (/[A-Za-z0-9_]/.test(e)) {
      this.#at -= 2;
      this.#fail(`\\${e}, which is not supported`);
    }
    return one(e);
  }

  #set(): ByteSet {
    const begin = this.#at;
    this.#at++;
    const isNegative = this.#takes("^");
    const ranges: number[] = [];
    // In RE2 a ] that comes first is a character; std::regex ends an empty set there.
    for (let isFirst = true; ; isFirst = false) {
      const c = this.#text[this.#at];
      if (c === undefined) {
        this.#at = begin;
        this.#fail("a set without end");
      }
      if (c === "]" && !(isFirst && this.#dialect === "re2")) break;
      const [from, isClass] = this.#member(c);
      if (!isClass && this.#text[this.#at] === "-" && (this.#text[this.#at + 1] ?? "]") !== "]") {
        this.#at++;
        const [to, endsInClass] = this.#member(this.#text[this.#at] as string);
        if (endsInClass || (to[0] as number) < (from[0] as number)) this.#fail("such a range");
        ranges.push(from[0] as number, to[0] as number);
      } else ranges.push(...from);
    }
    this.#at++;
    return isNegative ? without(ranges) : joined(ranges);
  }

  #member(c: string): readonly [ByteSet, boolean] {
    if (c === "[" && /[:.=]/.test(this.#text[this.#at + 1] ?? "")) {
      const found = /^\[:(\^?)([a-z]+):\]/.exec(this.#text.slice(this.#at, this.#at + 14));
      const known = found && Object.hasOwn(posix, found[2] as string) ? posix[found[2] as string] : undefined;
      if (!found || !known) this.#fail("no such class");
      this.#at += found[0].length;
      return [found[1] ? without(known) : known, true];
    }
    if (c === "\\") {
      if (this.#text[this.#at + 1] === "b" && this.#dialect === "ecmascript") {
        this.#at += 2;
        return [[8, 8], false];
      }
      const set = this.#class();
      return [set, set.length !== 2 || set[0] !== set[1]];
    }
    this.#at++;
    if (c > "\x7f" && this.#dialect === "re2") this.#fail("a set with a character beyond ASCII, which is not supported");
    return [one(c), false];
  }
}
