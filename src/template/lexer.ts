// Text → tokens, as Inja's lexer cuts it: text, `{{ expressions }}`, `{% statements %}`, `## line statements` and `{# comments #}`, with a
// minus that strips blanks (`{{-`, `-%}`).
import { type Position, TemplateFault } from "./ast.ts";

export type TokenKind =
  | "text"
  | "expressionOpen"
  | "expressionClose"
  | "statementOpen"
  | "statementClose"
  | "lineOpen"
  | "lineClose"
  | "id"
  | "number"
  | "string"
  /** Operators and punctuation. */
  | "sign"
  | "unknown"
  | "end";

export interface Token {
  readonly kind: TokenKind;
  readonly text: string;
  /** Where it begins in the source. */
  readonly start: number;
}

type State = "text" | "expression" | "statement" | "line";

const signs = /==|!=|>=|<=|[-+*^%/.,:|()[\]{}<>=]/y;
const numbers = /-?(?:[0-9.]|[eE][+-]?)+/y;
const strings = /"(?:[^"\\]|\\[\s\S])*"/y;

export class Lexer {
  readonly source: string;
  readonly #advanced: boolean;
  #pos = 0;
  #state: State = "text";
  /** A minus here would be that of a number, not the operator. */
  #takesNumber = true;

  /** `advanced`: names are JSON pointers, in which `~` may stand. */
  constructor(source: string, advanced: boolean) {
    this.source = source;
    this.#advanced = advanced;
    if (source.startsWith("\ufeff")) this.#pos = 1;
  }

  next(): Token {
    return this.#state === "text" ? this.#text() : this.#body();
  }

  positionOf(offset: number): Position {
    return positionIn(this.source, offset);
  }

  #token(kind: TokenKind, start: number, text = this.source.slice(start, this.#pos)): Token {
    return { kind, text, start };
  }

  #text(): Token {
    const start = this.#pos;
    for (let at = start; ; at++) {
      at = nextOpening(this.source, at);
      const opening = this.source.slice(at, at + 3);
      if (opening === "") {
        this.#pos = this.source.length;
        return start === this.#pos ? this.#token("end", start) : this.#token("text", start);
      }
      const pair = opening.slice(0, 2);
      const isLine = pair === "##" && (at === 0 || this.source[at - 1] === "\n");
      if (pair !== "{{" && pair !== "{%" && pair !== "{#" && !isLine) continue;
      const strips = !isLine && opening[2] === "-";
      const text = strips ? withoutLastBlanks(this.source.slice(start, at)) : this.source.slice(start, at);
      this.#pos = at;
      if (text !== "") return this.#token("text", start, text);
      return this.#open(pair, isLine, opening);
    }
  }

  #open(pair: string, isLine: boolean, opening: string): Token {
    const start = this.#pos;
    this.#takesNumber = true;
    if (isLine) return this.#enter("line", "lineOpen", start, 2);
    if (pair === "{{") return this.#enter("expression", "expressionOpen", start, opening[2] === "-" ? 3 : 2);
    if (pair === "{%") return this.#enter("statement", "statementOpen", start, opening[2] === "-" || opening[2] === "+" ? 3 : 2);
    const end = this.source.indexOf("#}", start + 2);
    if (end < 0) throw new TemplateFault("expected comment close, got the end", this.positionOf(start));
    this.#pos = end + 2;
    if (this.source[end - 1] === "-") this.#pos += /^[ \t]*(?:\r?\n|\r)?/.exec(this.source.slice(this.#pos))?.[0].length ?? 0;
    return this.#text();
  }

  #enter(state: State, kind: TokenKind, start: number, length: number): Token {
    this.#state = state;
    this.#pos = start + length;
    return this.#token(kind, start);
  }

  #body(): Token {
    const { source } = this;
    for (;;) {
      const start = this.#pos;
      if (start >= source.length) {
        this.#state = "text";
        return this.#token("end", start, "");
      }
      const c = source[start] as string;
      if (c === "\n" && this.#state === "line") return this.#close("lineClose", start, 1);
      if (c !== " " && c !== "\t" && c !== "\r" && c !== "\n") return this.#closing(start) ?? this.#word(start, c);
      this.#pos++;
    }
  }

  #closing(start: number): Token | undefined {
    if (this.#state === "line") return undefined;
    const [kind, close] = this.#state === "expression" ? (["expressionClose", "}}"] as const) : (["statementClose", "%}"] as const);
    if (this.source.startsWith(`-${close}`, start)) {
      const token = this.#close(kind, start, 3);
      while (/[ \t\r\n]/.test(this.source[this.#pos] ?? "")) this.#pos++;
      return token;
    }
    return this.source.startsWith(close, start) ? this.#close(kind, start, 2) : undefined;
  }

  #close(kind: TokenKind, start: number, length: number): Token {
    this.#state = "text";
    this.#pos = start + length;
    return this.#token(kind, start);
  }

  #word(start: number, c: string): Token {
    if (/[A-Za-z_@$~]/.test(c)) {
      this.#takesNumber = false;
      return this.#scan(this.#advanced ? /[~@$]?[A-Za-z0-9._/~-]*/y : /[~@$]?[A-Za-z0-9._/-]*/y, "id", start);
    }
    if (c === '"') {
      this.#takesNumber = false;
      strings.lastIndex = start;
      if (!strings.test(this.source)) throw new TemplateFault("this string has no end", this.positionOf(start));
      return this.#scan(strings, "string", start);
    }
    if (/[0-9]/.test(c) || (c === "-" && this.#takesNumber)) {
      this.#takesNumber = false;
      return this.#scan(numbers, "number", start);
    }
    this.#takesNumber = c !== ")" && c !== "]" && c !== "}";
    return this.#scan(signs, "sign", start);
  }

  #scan(pattern: RegExp, kind: TokenKind, start: number): Token {
    pattern.lastIndex = start;
    const found = pattern.exec(this.source);
    this.#pos = start + (found?.[0].length || 1);
    return this.#token(found ? kind : "unknown", start);
  }
}

/** Line and column of an offset, from 1. */
export function positionIn(source: string, offset: number): Position {
  const before = source.slice(0, offset);
  const line = before.split("\n").length;
  return `${line}:${offset - before.lastIndexOf("\n")}`;
}

function nextOpening(source: string, from: number): number {
  for (let at = from; at < source.length; at++) {
    const c = source.charCodeAt(at);
    if (c === 0x7b || c === 0x23) return at;
  }
  return source.length;
}

/** Blanks after the last line break go, if there is nothing but them. */
function withoutLastBlanks(text: string): string {
  const kept = text.replace(/[ \t]+$/, "");
  return kept === "" || /[\r\n]$/.test(kept) ? kept : text;
}
