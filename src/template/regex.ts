// Regular expressions of extractors (ECMAScript, as std::regex reads it: no Unicode, POSIX classes in sets) → a small program that
// regex-run.ts and lua/regex.ts execute alike. They back-track, as the expressions need (look-ahead, back-references), within a budget, so
// that no message can keep the proxy busy. Matchers are RE2 expressions; the part of that syntax that is the same is read, the rest refused.
import { maxDepth, TemplateFault } from "./ast.ts";
import { bytesOf } from "./json.ts";

/** Bytes in pairs: from, to. */
export type ByteSet = readonly number[];

export type Instruction =
  | readonly ["set", ByteSet]
  /** As many of the set as there are, at least and at most (below 0: any number); gives them back one by one. */
  | readonly ["run", ByteSet, number, number]
  /** Tries the first, then the second. */
  | readonly ["split", number, number]
  | readonly ["jump", number]
  | readonly ["save", number]
  /** Fails where nothing was consumed since the save of this slot. */
  | readonly ["moved", number]
  | readonly ["begin"]
  | readonly ["end"]
  | readonly ["word", boolean]
  | readonly ["back", number]
  /** What follows up to `accept`, without consuming; then on at the number. */
  | readonly ["look", boolean, number]
  | readonly ["accept"];

export interface RegexProgram {
  readonly code: readonly Instruction[];
  readonly groups: number;
  /** Positions it keeps: two for each group, and those of loops. */
  readonly slots: number;
}

export type Dialect = "ecmascript" | "re2";

/** Throws a {@link TemplateFault} that says what is wrong and at which character. */
export function compileRegex(source: string, dialect: Dialect = "ecmascript"): RegexProgram {
  const reader = new Reader(bytesOf(source), source, dialect);
  const tree = reader.whole();
  return new Emitter(reader.groups).program(tree);
}

type Tree =
  | { readonly kind: "set"; readonly set: ByteSet }
  | { readonly kind: "list"; readonly items: readonly Tree[] }
  | { readonly kind: "either"; readonly options: readonly Tree[] }
  | { readonly kind: "group"; readonly number: number; readonly item: Tree }
  | { readonly kind: "repeat"; readonly item: Tree; readonly min: number; readonly max: number; readonly isLazy: boolean }
  | { readonly kind: "look"; readonly isNegative: boolean; readonly item: Tree }
  | { readonly kind: "back"; readonly group: number }
  | { readonly kind: "word"; readonly isBoundary: boolean }
  | { readonly kind: "begin" | "end" };

const digit: ByteSet = [48, 57];
const word: ByteSet = [48, 57, 65, 90, 95, 95, 97, 122];
const space: ByteSet = [9, 13, 32, 32];
const posix: Readonly<Record<string, ByteSet>> = {
  alnum: [48, 57, 65, 90, 97, 122],
  alpha: [65, 90, 97, 122],
  blank: [9, 9, 32, 32],
  cntrl: [0, 31, 127, 127],
  digit,
  d: digit,
  graph: [33, 126],
  lower: [97, 122],
  print: [32, 126],
  punct: [33, 47, 58, 64, 91, 96, 123, 126],
  space,
  s: space,
  upper: [65, 90],
  xdigit: [48, 57, 65, 70, 97, 102],
  w: word,
  word,
};

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

function one(c: string): ByteSet {
  const code = c.charCodeAt(0);
  return [code, code];
}

/** Sorted, and without overlaps. */
function joined(ranges: ByteSet): ByteSet {
  const members = new Uint8Array(256);
  for (let i = 0; i < ranges.length; i += 2) members.fill(1, ranges[i], (ranges[i + 1] as number) + 1);
  return rangesOf((code) => members[code] === 1);
}

function without(ranges: ByteSet): ByteSet {
  const members = new Uint8Array(256);
  for (let i = 0; i < ranges.length; i += 2) members.fill(1, ranges[i], (ranges[i + 1] as number) + 1);
  return rangesOf((code) => members[code] === 0);
}

function rangesOf(isIn: (code: number) => boolean): ByteSet {
  const ranges: number[] = [];
  for (let code = 0; code < 256; code++) {
    if (!isIn(code)) continue;
    if (ranges.length > 0 && ranges.at(-1) === code - 1) ranges[ranges.length - 1] = code;
    else ranges.push(code, code);
  }
  return ranges;
}

const maxInstructions = 4_000;

class Emitter {
  readonly #code: Instruction[] = [];
  readonly #groups: number;
  #slots: number;

  constructor(groups: number) {
    this.#groups = groups;
    this.#slots = (groups + 1) * 2;
  }

  program(tree: Tree): RegexProgram {
    this.#emit(tree);
    this.#add(["accept"]);
    return { code: this.#code, groups: this.#groups, slots: this.#slots };
  }

  #add(instruction: Instruction): number {
    if (this.#code.length >= maxInstructions) throw new TemplateFault("the regular expression is too large");
    return this.#code.push(instruction) - 1;
  }

  #emit(tree: Tree): void {
    switch (tree.kind) {
      case "set":
        this.#add(["set", tree.set]);
        return;
      case "list":
        for (const item of tree.items) this.#emit(item);
        return;
      case "either":
        this.#either(tree.options);
        return;
      case "group":
        this.#add(["save", tree.number * 2]);
        this.#emit(tree.item);
        this.#add(["save", tree.number * 2 + 1]);
        return;
      case "repeat":
        this.#repeat(tree.item, tree.min, tree.max, tree.isLazy);
        return;
      case "look": {
        const at = this.#add(["jump", 0]);
        this.#emit(tree.item);
        this.#add(["accept"]);
        this.#code[at] = ["look", tree.isNegative, this.#code.length];
        return;
      }
      case "back":
        this.#add(["back", tree.group]);
        return;
      case "word":
        this.#add(["word", tree.isBoundary]);
        return;
      default:
        this.#add([tree.kind]);
    }
  }

  #either(options: readonly Tree[]): void {
    const ends: number[] = [];
    options.forEach((option, i) => {
      const isLast = i === options.length - 1;
      const split = isLast ? -1 : this.#add(["jump", 0]);
      this.#emit(option);
      if (isLast) return;
      ends.push(this.#add(["jump", 0]));
      this.#code[split] = ["split", split + 1, this.#code.length];
    });
    for (const end of ends) this.#code[end] = ["jump", this.#code.length];
  }

  #repeat(item: Tree, min: number, max: number, isLazy: boolean): void {
    if (item.kind === "set" && !isLazy) {
      this.#add(["run", item.set, min, max]);
      return;
    }
    for (let i = 0; i < min; i++) this.#emit(item);
    if (max < 0) {
      this.#loop(item, isLazy);
      return;
    }
    const splits: number[] = [];
    for (let i = min; i < max; i++) {
      splits.push(this.#add(["jump", 0]));
      this.#emit(item);
    }
    for (const at of splits) this.#code[at] = this.#choice(at + 1, this.#code.length, isLazy);
  }

  #loop(item: Tree, isLazy: boolean): void {
    const slot = this.#slots++;
    const split = this.#add(["jump", 0]);
    this.#add(["save", slot]);
    this.#emit(item);
    this.#add(["moved", slot]);
    this.#add(["jump", split]);
    this.#code[split] = this.#choice(split + 1, this.#code.length, isLazy);
  }

  #choice(more: number, done: number, isLazy: boolean): Instruction {
    return isLazy ? ["split", done, more] : ["split", more, done];
  }
}
