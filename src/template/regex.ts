// Regular expressions of extractors (ECMAScript, as std::regex reads it: no Unicode, POSIX classes in sets) → a small program that
// regex-run.ts and lua/regex.ts execute alike. They back-track, as the expressions need (look-ahead, back-references), within a budget, so
// that no message can keep the proxy busy. Matchers are RE2 expressions; the part of that syntax that is the same is read, the rest refused.
import { TemplateFault } from "./ast.ts";
import type { ByteSet } from "./byte-set.ts";
import { parseRegex, type Tree } from "./regex-parse.ts";

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
  const { tree, groups } = parseRegex(source, dialect);
  return new Emitter(groups).program(tree);
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
