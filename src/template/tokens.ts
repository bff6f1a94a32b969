// The tokens of a template as a parser takes them: one, and a look at the next.
import { TemplateFault } from "./ast.ts";
import { Lexer, type Token } from "./lexer.ts";

export class Tokens {
  readonly advanced: boolean;
  readonly #lexer: Lexer;
  #token: Token = { kind: "end", text: "", start: 0 };
  #peeked: Token | undefined;

  constructor(source: string, advanced: boolean) {
    this.#lexer = new Lexer(source, advanced);
    this.advanced = advanced;
  }

  get now(): Token {
    return this.#token;
  }

  get source(): string {
    return this.#lexer.source;
  }

  next(): void {
    this.#token = this.#peeked ?? this.#lexer.next();
    this.#peeked = undefined;
  }

  peek(): Token {
    this.#peeked ??= this.#lexer.next();
    return this.#peeked;
  }

  at(token: Token = this.#token): string {
    return this.#lexer.positionOf(token.start);
  }

  fail(what: string, token?: Token): never {
    throw new TemplateFault(what, this.at(token));
  }

  isSign(text: string): boolean {
    return this.#token.kind === "sign" && this.#token.text === text;
  }

  isWord(text: string): boolean {
    return this.#token.kind === "id" && this.#token.text === text;
  }
}

export function described({ kind, text }: Token): string {
  if (kind === "end") return "the end";
  if (kind === "lineClose") return "the end of the line";
  return JSON.stringify(shortened(text));
}

export function shortened(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
