// Text → tree: the whole of Inja as Gloo runs it (3.4, with JSON pointers for `advancedTemplates`), and of later Inja the pipe and the functions
// `replace` and `capitalize`. What loads other templates (`include`, `extends`, `super`) is refused: there are none.
import { type Block, type Expression, maxDepth, type Node, TemplateFault } from "./ast.ts";
import { bytesOf, parseJson } from "./json.ts";
import { Lexer, type Token } from "./lexer.ts";
import { functions, operators } from "./operations.ts";
import { pathOf } from "./path.ts";

export interface ParseOptions {
  /** Names are JSON pointers: `a/b`. Otherwise `a.b`. */
  readonly advanced?: boolean;
}

/** Throws a {@link TemplateFault} that says what is wrong and where. */
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
  readonly #lexer: Lexer;
  readonly #advanced: boolean;
  readonly #root: Node[] = [];
  readonly #open: Open[] = [];
  readonly #blocks = new Set<string>();
  #token: Token;
  #peeked: Token | undefined;

  constructor(source: string, advanced: boolean) {
    this.#lexer = new Lexer(source, advanced);
    this.#advanced = advanced;
    this.#token = { kind: "end", text: "", start: 0 };
  }

  template(): Block {
    for (;;) {
      this.#next();
      switch (this.#token.kind) {
        case "end": {
          const open = this.#open.at(-1);
          if (open) this.#fail(`this ${open.kind} has no end: ${ending(open.kind)} is missing`, open.token);
          return this.#root;
        }
        case "text":
          this.#block().push(this.#token.text);
          break;
        case "expressionOpen":
          this.#next();
          this.#block().push(["print", this.#whole("expressionClose")]);
          break;
        case "statementOpen":
          this.#next();
          this.#statement("statementClose");
          break;
        case "lineOpen":
          this.#next();
          this.#statement("lineClose");
          break;
        default:
          this.#fail(`unexpected ${described(this.#token)}`);
      }
    }
  }

  #block(): Node[] {
    return this.#open.at(-1)?.block ?? this.#root;
  }

  #next(): void {
    this.#token = this.#peeked ?? this.#lexer.next();
    this.#peeked = undefined;
  }

  #peek(): Token {
    this.#peeked ??= this.#lexer.next();
    return this.#peeked;
  }

  #at(token: Token = this.#token): string {
    return this.#lexer.positionOf(token.start);
  }

  #fail(what: string, token?: Token): never {
    throw new TemplateFault(what, this.#at(token));
  }

  #isSign(text: string): boolean {
    return this.#token.kind === "sign" && this.#token.text === text;
  }

  #isWord(text: string): boolean {
    return this.#token.kind === "id" && this.#token.text === text;
  }

  #whole(closing: Token["kind"]): Expression {
    const expression = this.#expression(0);
    if (expression === undefined) this.#fail(`an expression is missing before ${described(this.#token)}`);
    this.#close(closing);
    return expression;
  }

  #close(closing: Token["kind"]): void {
    if (this.#token.kind === closing || (closing === "lineClose" && this.#token.kind === "end")) return;
    const wanted = closing === "expressionClose" ? "}}" : closing === "statementClose" ? "%}" : "the end of the line";
    this.#fail(`expected ${wanted}, got ${described(this.#token)}`);
  }

  #statement(closing: Token["kind"]): void {
    const token = this.#token;
    if (token.kind !== "id") this.#fail(`expected a statement, got ${described(token)}`);
    this.#next();
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
        this.#fail(`${token.text} is not supported: a template of a gateway stands alone`, token);
        break;
      default:
        this.#fail(`there is no statement ${JSON.stringify(token.text)}; there are if, else, for, set and block`, token);
    }
  }

  #push(open: Open): void {
    if (this.#open.length >= maxDepth) this.#fail("statements are nested too deeply", open.token);
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
    if (open?.kind !== "if") this.#fail("else without if", token);
    if (this.#isWord("if")) {
      this.#next();
      this.#open.pop();
      // The inner one ends with the outer one.
      this.#if(token, open.ends + 1, open.parent, closing);
      if (open.ends > maxDepth) this.#fail("there are too many else if", token);
      return;
    }
    this.#open.pop();
    this.#push({ ...open, kind: "else", token, block: open.parent });
    this.#close(closing);
  }

  #end(token: Token, closing: Token["kind"]): void {
    const open = this.#open.at(-1);
    const kind = token.text.slice("end".length);
    if (open === undefined) this.#fail(`${token.text} without ${kind}`, token);
    if ((open.kind === "else" ? "if" : open.kind) !== kind)
      this.#fail(`${token.text} where ${ending(open.kind)} is needed: the ${open.kind} at ${this.#at(open.token)} is still open`, token);
    this.#open.pop();
    this.#close(closing);
  }

  #name(what: string): string {
    if (this.#token.kind !== "id") this.#fail(`expected ${what}, got ${described(this.#token)}`);
    const { text } = this.#token;
    this.#next();
    return text;
  }

  #for(token: Token, closing: Token["kind"]): void {
    const names = [this.#name("a name")];
    if (this.#isSign(",")) {
      this.#next();
      names.push(this.#name("a name"));
    }
    if (!this.#isWord("in")) this.#fail(`expected in, got ${described(this.#token)}`);
    this.#next();
    const of = this.#whole(closing);
    const block: Node[] = [];
    this.#block().push(["for", names, of, block, this.#at(token)]);
    this.#push({ kind: "for", token, ends: 1, block, parent: [] });
  }

  #set(closing: Token["kind"]): void {
    const path = this.#name("a name").split(/[./]/);
    if (!this.#isSign("=")) this.#fail(`expected =, got ${described(this.#token)}`);
    this.#next();
    this.#block().push(["set", path, this.#whole(closing)]);
  }

  /** A block stands where it is written: nothing extends this template. */
  #named(token: Token, closing: Token["kind"]): void {
    const name = this.#name("the name of the block");
    if (this.#blocks.has(name)) this.#fail(`there is a block ${name} already`, token);
    this.#blocks.add(name);
    this.#close(closing);
    this.#push({ kind: "block", token, ends: 1, block: this.#block(), parent: [] });
  }

  /** Operators by their precedence; undefined where there is nothing. Ends before what cannot go on. */
  #expression(depth: number): Expression | undefined {
    if (depth > maxDepth) this.#fail("this expression is nested too deeply");
    const values: Expression[] = [];
    const waiting: Token[] = [];
    for (;;) {
      const { kind, text } = this.#token;
      if (kind === "string" || kind === "number") values.push(this.#literal(this.#token, this.#token));
      else if (kind === "sign" && (text === "[" || text === "{")) values.push(this.#brackets());
      else if (kind === "sign" && text === "(") values.push(this.#parentheses(depth));
      else if (kind === "sign" && text === "|") values.push(this.#pipe(values, depth));
      else if (kind === "id" && !Object.hasOwn(operators, text)) values.push(this.#word(depth));
      else if ((kind === "sign" || kind === "id") && Object.hasOwn(operators, text)) this.#operator(values, waiting);
      else break;
      this.#next();
    }
    while (waiting.length > 0) this.#apply(values, waiting);
    if (values.length > 1) this.#fail("these are several values, with no operator between them");
    return values[0];
  }

  #operator(values: Expression[], waiting: Token[]): void {
    const { precedence, isRight = false } = operators[this.#token.text] as (typeof operators)[string];
    for (;;) {
      const before = waiting.at(-1);
      if (before === undefined) break;
      const other = (operators[before.text] as (typeof operators)[string]).precedence;
      if (other < precedence || (other === precedence && isRight)) break;
      this.#apply(values, waiting);
    }
    waiting.push(this.#token);
  }

  #apply(values: Expression[], waiting: Token[]): void {
    const token = waiting.pop() as Token;
    const { values: count } = operators[token.text] as (typeof operators)[string];
    if (values.length < count) this.#fail(`${token.text} has too few values`, token);
    const args = values.splice(values.length - count);
    if (token.text === "." && args[1]?.[0] !== "var") this.#fail("a name is needed after the dot", token);
    values.push(["call", token.text, args, this.#at(token)]);
  }

  #literal(first: Token, last: Token): Expression {
    const text = this.#lexer.source.slice(first.start, last.start + last.text.length);
    try {
      parseJson(bytesOf(text));
    } catch {
      this.#fail(`${shortened(text)} is not valid JSON`, first);
    }
    return ["json", text];
  }

  #brackets(): Expression {
    const first = this.#token;
    for (let level = 0; ; this.#next()) {
      if (this.#isSign("[") || this.#isSign("{")) level++;
      else if (this.#isSign("]") || this.#isSign("}")) level--;
      if (level === 0) return this.#literal(first, this.#token);
      if (!["string", "number", "sign", "id"].includes(this.#token.kind)) this.#fail(`${shortened(first.text)} has no end`, first);
    }
  }

  #parentheses(depth: number): Expression {
    const open = this.#token;
    this.#next();
    const inner = this.#expression(depth + 1);
    if (!this.#isSign(")")) this.#fail(`expected ), got ${described(this.#token)}`);
    if (inner === undefined) this.#fail("these parentheses are empty", open);
    return inner;
  }

  #word(depth: number): Expression {
    const token = this.#token;
    if (token.text === "true" || token.text === "false" || token.text === "null") return ["json", token.text];
    const next = this.#peek();
    if (next.kind === "sign" && next.text === "(") {
      this.#next();
      return this.#call(token, [], depth);
    }
    const path = pathOf(token.text, this.#advanced);
    if (path === undefined) this.#fail(`${JSON.stringify(token.text)} is no JSON pointer: after ~ comes 0 or 1`, token);
    return ["var", token.text, path, this.#at(token)];
  }

  #pipe(values: Expression[], depth: number): Expression {
    const first = values.pop();
    if (first === undefined) this.#fail("there is nothing before |");
    this.#next();
    const token = this.#token;
    if (token.kind !== "id") this.#fail(`expected a function, got ${described(token)}`);
    const next = this.#peek();
    if (next.kind !== "sign" || next.text !== "(") return this.#known(token, [first]);
    this.#next();
    return this.#call(token, [first], depth);
  }

  /** From the parenthesis that opens to the one that closes. */
  #call(token: Token, args: Expression[], depth: number): Expression {
    do {
      this.#next();
      const each = this.#expression(depth + 1);
      if (each === undefined) break;
      args.push(each);
    } while (this.#isSign(","));
    if (!this.#isSign(")")) this.#fail(`expected ) after the values of ${token.text}, got ${described(this.#token)}`);
    return this.#known(token, args);
  }

  #known(token: Token, args: readonly Expression[]): Expression {
    const name = token.text;
    if (name === "super") this.#fail("super is not supported: a template of a gateway stands alone", token);
    const counts = Object.hasOwn(functions, name) ? functions[name] : undefined;
    if (counts === undefined) this.#fail(`unknown function ${name}`, token);
    if (!counts.includes(args.length)) this.#fail(`the function ${name} takes ${counts.join(" or ")} values, not ${args.length}`, token);
    return ["call", name, args, this.#at(token)];
  }
}

function ending(kind: Open["kind"]): string {
  return kind === "else" ? "endif" : `end${kind}`;
}

function described({ kind, text }: Token): string {
  if (kind === "end") return "the end";
  if (kind === "lineClose") return "the end of the line";
  return JSON.stringify(shortened(text));
}

function shortened(text: string): string {
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
