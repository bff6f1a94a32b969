// Executes a regular expression on bytes. lua/regex.ts is this once more; both count the same steps, so both give up at the same place.
import { TemplateFault } from "./ast.ts";
import type { ByteSet } from "./byte-set.ts";
import type { RegexProgram } from "./regex.ts";

const maxSteps = 1_000_000;
const maxWaiting = 100_000;

/** Positions by slot (two for each group, -1 where it took no part), or undefined. */
export type Match = readonly number[];

/** What counts as a match: all of the text, from the position to anywhere, or the same but not nothing. */
export type Extent = "whole" | "prefix" | "some";

export function matchAt(program: RegexProgram, text: string, from: number, extent: Extent): Match | undefined {
  return new Run(program, text, from, extent).match();
}

/** Everything that fits is replaced; `$1`, `$&`, `$$` and the like work in the replacement. */
export function replaceAll(program: RegexProgram, text: string, replacement: string): string {
  const out: string[] = [];
  let copied = 0;
  const budget = { left: maxSteps };
  for (let at = 0; at <= text.length; ) {
    const match = new Run(program, text, at, "some", budget).match();
    if (match === undefined) {
      at++;
      continue;
    }
    out.push(text.slice(copied, at), filled(replacement, text, match, copied));
    at = match[1] as number;
    copied = at;
  }
  out.push(text.slice(copied));
  return out.join("");
}

function filled(replacement: string, text: string, match: Match, before: number): string {
  return replacement.replace(/\$(\$|&|`|'|[0-9][0-9]?)/g, (_, what: string) => {
    if (what === "$") return "$";
    if (what === "&") return text.slice(match[0], match[1]);
    if (what === "`") return text.slice(before, match[0]);
    if (what === "'") return text.slice(match[1]);
    return groupOf(text, match, Number(what));
  });
}

/** Empty where the group took no part. */
export function groupOf(text: string, match: Match, group: number): string {
  const [begin = -1, end = -1] = [match[group * 2], match[group * 2 + 1]];
  return begin < 0 || end < 0 ? "" : text.slice(begin, end);
}

const tables = new WeakMap<ByteSet, Uint8Array>();

function tableOf(set: ByteSet): Uint8Array {
  let table = tables.get(set);
  if (table === undefined) {
    table = new Uint8Array(256);
    for (let i = 0; i < set.length; i += 2) table.fill(1, set[i], (set[i + 1] as number) + 1);
    tables.set(set, table);
  }
  return table;
}

class Run {
  readonly #program: RegexProgram;
  readonly #text: string;
  readonly #from: number;
  readonly #extent: Extent;
  readonly #slots: number[];
  /** Three numbers each: where to go on (below 0: a slot to set back), the position, the lowest position to try as well. */
  readonly #waiting: number[] = [];
  readonly #budget: { left: number };

  constructor(program: RegexProgram, text: string, from: number, extent: Extent, budget = { left: maxSteps }) {
    this.#program = program;
    this.#text = text;
    this.#from = from;
    this.#extent = extent;
    this.#slots = new Array(program.slots).fill(-1);
    this.#budget = budget;
  }

  match(): Match | undefined {
    const end = this.#run(0, this.#from, true);
    if (end < 0) return undefined;
    const slots = this.#slots.slice(0, (this.#program.groups + 1) * 2);
    slots[0] = this.#from;
    slots[1] = end;
    return slots;
  }

  #wait(next: number, at: number, low: number): void {
    if (this.#waiting.length >= maxWaiting * 3) throw new TemplateFault("the regular expression takes too long");
    this.#waiting.push(next, at, low);
  }

  /** Where the match ends, or -1. */
  #run(begin: number, from: number, isOutermost: boolean): number {
    const { code } = this.#program;
    const text = this.#text;
    const base = this.#waiting.length;
    let next = begin;
    let at = from;
    for (;;) {
      if (--this.#budget.left < 0) throw new TemplateFault("the regular expression takes too long");
      const step = code[next] as (typeof code)[number];
      let fits = true;
      switch (step[0]) {
        case "set":
          fits = at < text.length && tableOf(step[1])[text.charCodeAt(at)] === 1;
          at++;
          next++;
          break;
        case "run": {
          const table = tableOf(step[1]);
          const limit = step[3] < 0 ? text.length : Math.min(text.length, at + step[3]);
          let end = at;
          while (end < limit && table[text.charCodeAt(end)] === 1) end++;
          const low = at + step[2];
          fits = end >= low;
          next++;
          if (fits && end > low) this.#wait(next, end - 1, low);
          at = end;
          break;
        }
        case "split":
          this.#wait(step[2], at, at);
          next = step[1];
          break;
        case "jump":
          next = step[1];
          break;
        case "save":
          this.#wait(-1 - step[1], this.#slots[step[1]] as number, 0);
          this.#slots[step[1]] = at;
          next++;
          break;
        case "moved":
          fits = this.#slots[step[1]] !== at;
          next++;
          break;
        case "begin":
          fits = at === 0;
          next++;
          break;
        case "end":
          fits = at === text.length;
          next++;
          break;
        case "word":
          fits = (isWord(text, at - 1) !== isWord(text, at)) === step[1];
          next++;
          break;
        case "back": {
          const group = groupOf(text, this.#slots, step[1]);
          fits = text.startsWith(group, at);
          at += group.length;
          next++;
          break;
        }
        case "look":
          fits = this.#run(next + 1, at, false) >= 0 !== step[1];
          next = step[2];
          break;
        case "accept":
          fits =
            !isOutermost ||
            this.#extent === "prefix" ||
            (this.#extent === "whole" && at === text.length) ||
            (this.#extent === "some" && at > this.#from);
          if (fits) {
            this.#waiting.length = base;
            return at;
          }
      }
      if (fits) continue;
      [next, at] = this.#back(base);
      if (next < 0) return -1;
    }
  }

  /** The next thing to try; -1 when there is none. */
  #back(base: number): [next: number, at: number] {
    const waiting = this.#waiting;
    while (waiting.length > base) {
      const low = waiting.pop() as number;
      const at = waiting.pop() as number;
      const next = waiting.pop() as number;
      if (next < 0) {
        this.#slots[-1 - next] = at;
        continue;
      }
      if (at > low) waiting.push(next, at - 1, low);
      return [next, at];
    }
    return [-1, -1];
  }
}

function isWord(text: string, at: number): boolean {
  return at >= 0 && at < text.length && /\w/.test(text[at] as string);
}
