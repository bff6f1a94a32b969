// Text → tree: the whole of Inja as Gloo runs it (3.4, with JSON pointers for `advancedTemplates`), and of later Inja the pipe and the functions
// `replace` and `capitalize`. What loads other templates (`include`, `extends`, `super`) is refused: there are none.
import { type Block, type Expression, maxDepth, type Node } from "./ast.ts";
import type { Token } from "./lexer.ts";
import { parseExpression } from "./parse-expression.ts";
import { described, Tokens } from "./tokens.ts";

export interface ParseOptions {
  /** Names are JSON pointers: `a/b`. Otherwise `a.b`. */
  readonly advanced?: boolean;
}

/** Throws a `TemplateFault` that says what is wrong and where. */
export function parseTemplate(source: string, { advanced = false }: ParseOptions = {}): Block {
  return new Parser(source, advanced).template();
}

interface Open {
  readonly kind: "if" | "else" | "for" | "block";
  readonly token: Token;
  /** How many `if` of a chain of `else if` end together. */
  readonly ends: number;
  readonly block: Node[];
  /** Puts the finished statement where it belongs. */
  readonly parent: Node[];
}

class Parser {
  readonly #tokens: Tokens;
  readonly #root: Node[] = [];
  readonly #open: Open[] = [];
  readonly #blocks = new Set<string>();

  constructor(source: string, advanced: boolean) {
    this.#tokens = new Tokens(source, advanced);
  }

  template(): Block {
    for (;;) {
      this.#tokens.next();
      switch (this.#tokens.now.kind) {
        case "end": {
          const open = this.#open.at(-1);
          if (open) this.#tokens.fail(`this ${open.kind} has no end: ${ending(open.kind)} is missing`, open.token);
          return this.#root;
        }
        case "text":
          this.#block().push(this.#tokens.now.text);
          break;
        case "expressionOpen":
          this.#tokens.next();
          this.#block().push(["print", this.#whole("expressionClose")]);
          break;
        case "statementOpen":
          this.#tokens.next();
          this.#statement("statementClose");
          break;
        case "lineOpen":
          this.#tokens.next();
          this.#statement("lineClose");
          break;
        default:
          this.#tokens.fail(`unexpected ${described(this.#tokens.now)}`);
      }
    }
  }

  #block(): Node[] {
    return this.#open.at(-1)?.block ?? this.#root;
  }

  #whole(closing: Token["kind"]): Expression {
    const expression = parseExpression(this.#tokens);
    if (expression === undefined) this.#tokens.fail(`an expression is missing before ${described(this.#tokens.now)}`);
    this.#close(closing);
    return expression;
  }

  #close(closing: Token["kind"]): void {
    if (this.#tokens.now.kind === closing || (closing === "lineClose" && this.#tokens.now.kind === "end")) return;
    const wanted = closing === "expressionClose" ? "}}" : closing === "statementClose" ? "%}" : "the end of the line";
    this.#tokens.fail(`expected ${wanted}, got ${described(this.#tokens.now)}`);
  }

  #statement(closing: Token["kind"]): void {
    const token = this.#tokens.now;
    if (token.kind !== "id") this.#tokens.fail(`expected a statement, got ${described(token)}`);
    this.#tokens.next();
    switch (token.text) {
      case "if":
        this.#if(token, 1, this.#block(), closing);
        break;
      case "else":
        this.#else(token, closing);
        break;
      case "for":
        this.#for(token, closing);
        break;
      case "set":
        this.#set(closing);
        break;
      case "block":
        this.#named(token, closing);
        break;
      case "endif":
      case "endfor":
      case "endblock":
        this.#end(token, closing);
        break;
      case "include":
      case "extends":
        this.#tokens.fail(`${token.text} is not supported: a template of a gateway stands alone`, token);
        break;
      default:
        this.#tokens.fail(`there is no statement ${JSON.stringify(token.text)}; there are if, else, for, set and block`, token);
    }
  }

  #push(open: Open): void {
    if (this.#open.length >= maxDepth) this.#tokens.fail("statements are nested too deeply", open.token);
    this.#open.push(open);
  }

  #if(token: Token, ends: number, parent: Node[], closing: Token["kind"]): void {
    const condition = this.#whole(closing);
    const [then, otherwise]: [Node[], Node[]] = [[], []];
    parent.push(["if", condition, then, otherwise]);
    this.#push({ kind: "if", token, ends, block: then, parent: otherwise });
  }

  #else(token: Token, closing: Token["kind"]): void {
    const open = this.#open.at(-1);
    if (open?.kind !== "if") this.#tokens.fail("else without if", token);
    if (this.#tokens.isWord("if")) {
      this.#tokens.next();
      this.#open.pop();
      // The inner one ends with the outer one.
      this.#if(token, open.ends + 1, open.parent, closing);
      if (open.ends > maxDepth) this.#tokens.fail("there are too many else if", token);
      return;
    }
    this.#open.pop();
    this.#push({ ...open, kind: "else", token, block: open.parent });
    this.#close(closing);
  }

  #end(token: Token, closing: Token["kind"]): void {
    const open = this.#open.at(-1);
    const kind = token.text.slice("end".length);
    if (open === undefined) this.#tokens.fail(`${token.text} without ${kind}`, token);
    if ((open.kind === "else" ? "if" : open.kind) !== kind)
      this.#tokens.fail(
        `${token.text} where ${ending(open.kind)} is needed: the ${open.kind} at ${this.#tokens.at(open.token)} is still open`,
        token,
      );
    this.#open.pop();
    this.#close(closing);
  }

  #name(what: string): string {
    if (this.#tokens.now.kind !== "id") this.#tokens.fail(`expected ${what}, got ${described(this.#tokens.now)}`);
    const { text } = this.#tokens.now;
    this.#tokens.next();
    return text;
  }

  #for(token: Token, closing: Token["kind"]): void {
    const names = [this.#name("a name")];
    if (this.#tokens.isSign(",")) {
      this.#tokens.next();
      names.push(this.#name("a name"));
    }
    if (!this.#tokens.isWord("in")) this.#tokens.fail(`expected in, got ${described(this.#tokens.now)}`);
    this.#tokens.next();
    const of = this.#whole(closing);
    const block: Node[] = [];
    this.#block().push(["for", names, of, block, this.#tokens.at(token)]);
    this.#push({ kind: "for", token, ends: 1, block, parent: [] });
  }

  #set(closing: Token["kind"]): void {
    const path = this.#name("a name").split(/[./]/);
    if (!this.#tokens.isSign("=")) this.#tokens.fail(`expected =, got ${described(this.#tokens.now)}`);
    this.#tokens.next();
    this.#block().push(["set", path, this.#whole(closing)]);
  }

  /** A block stands where it is written: nothing extends this template. */
  #named(token: Token, closing: Token["kind"]): void {
    const name = this.#name("the name of the block");
    if (this.#blocks.has(name)) this.#tokens.fail(`there is a block ${name} already`, token);
    this.#blocks.add(name);
    this.#close(closing);
    this.#push({ kind: "block", token, ends: 1, block: this.#block(), parent: [] });
  }
}

function ending(kind: Open["kind"]): string {
  return kind === "else" ? "endif" : `end${kind}`;
}
