// Text → tree. The part of Inja that functions need: text, comments, `{{ expressions }}` of literals, variables and calls.
// Statements (`{% if %}`, `## for`) and operators are refused by name.
import { type Expression, type Part, TemplateFault } from "./ast.ts";

/** Throws a {@link TemplateFault} that says what is wrong and where. */
export function parseTemplate(source: string): readonly Part[] {
  const parts: Part[] = [];
  let rest = 0;
  const text = (end: number) => {
    if (end > rest) parts.push({ kind: "text", text: source.slice(rest, end) });
  };
  for (let at = 0; at < source.length; ) {
    const opening = source.slice(at, at + 2);
    if (opening === "{{") {
      text(at);
      const reader = new Reader(source, at + 2);
      parts.push({ kind: "print", value: reader.expressionUntil("}}") });
      at = rest = reader.at;
    } else if (opening === "{#") {
      text(at);
      const end = source.indexOf("#}", at + 2);
      if (end < 0) throw fault(source, at, "a comment has no end");
      at = rest = end + 2;
    } else if (opening === "{%" || (opening === "##" && (at === 0 || source[at - 1] === "\n"))) {
      throw fault(source, at, "statements (if, for, set) are not supported yet");
    } else at++;
  }
  text(source.length);
  return parts;
}

const wordStart = /[A-Za-z_]/;
/** Inja's: `x-tier`, `pet.name` and `a/b` are one word each. */
const wordPart = /[A-Za-z0-9_./-]/;
const numbers = /-?\d+(\.\d+)?([eE][+-]?\d+)?/y;

class Reader {
  readonly #source: string;
  at: number;

  constructor(source: string, at: number) {
    this.#source = source;
    this.at = at;
  }

  expressionUntil(closing: string): Expression {
    const begin = this.at - 2;
    // `{{-` and `-}}` strip blanks around; Gloo's templates of functions never have them.
    if (this.#source[this.at] === "-") throw fault(this.#source, begin, "`{{-` is not supported yet");
    const value = this.#expression(0);
    this.#blanks();
    if (!this.#source.startsWith(closing, this.at)) {
      const found = this.#source[this.at];
      throw fault(this.#source, this.at, found === undefined ? `${closing} is missing` : `${JSON.stringify(found)} is not supported here`);
    }
    this.at += closing.length;
    return value;
  }

  #expression(depth: number): Expression {
    if (depth > 50) throw fault(this.#source, this.at, "calls are nested too deeply");
    this.#blanks();
    const first = this.#source[this.at] ?? "";
    if (first === '"') return this.#text();
    numbers.lastIndex = this.at;
    const number = numbers.exec(this.#source);
    if (number) {
      this.at += number[0].length;
      return { kind: "number", text: number[0] };
    }
    if (!wordStart.test(first))
      throw fault(this.#source, this.at, first === "" ? "}} is missing" : `${JSON.stringify(first)} is not supported here`);
    const word = this.#word();
    if (this.#source[this.at] === "(") return this.#call(word, depth);
    if (word === "true" || word === "false") return { kind: "constant", value: word === "true" };
    if (word === "null") return { kind: "constant", value: null };
    return { kind: "variable", path: word };
  }

  #call(name: string, depth: number): Expression {
    this.at++;
    const args: Expression[] = [];
    this.#blanks();
    if (this.#source[this.at] === ")") this.at++;
    else
      for (;;) {
        args.push(this.#expression(depth + 1));
        this.#blanks();
        const next = this.#source[this.at++];
        if (next === ")") break;
        if (next !== ",") throw fault(this.#source, this.at - 1, `${name}( has no end`);
      }
    return { kind: "call", name, args };
  }

  #word(): string {
    const begin = this.at;
    while (wordPart.test(this.#source[this.at] ?? "")) this.at++;
    return this.#source.slice(begin, this.at);
  }

  #text(): Expression {
    const begin = this.at;
    for (this.at++; this.at < this.#source.length; this.at++) {
      if (this.#source[this.at] === "\\") this.at++;
      else if (this.#source[this.at] === '"') {
        this.at++;
        try {
          return { kind: "text", text: JSON.parse(this.#source.slice(begin, this.at)) as string };
        } catch {
          break;
        }
      }
    }
    throw fault(this.#source, begin, "this is no string of JSON");
  }

  #blanks(): void {
    while (/\s/.test(this.#source[this.at] ?? "")) this.at++;
  }
}

function fault(source: string, at: number, what: string): TemplateFault {
  return new TemplateFault(`${what}, at character ${at + 1} of ${JSON.stringify(source.length > 80 ? `${source.slice(0, 80)}…` : source)}`);
}
