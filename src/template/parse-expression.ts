// Tokens → an expression: literals, variables, calls, pipes, and operators by their precedence, as Inja orders them.
import { type Expression, maxDepth } from "./ast.ts";
import { bytesOf, parseJson } from "./json.ts";
import type { Token } from "./lexer.ts";
import { functions, operators } from "./operations.ts";
import { pathOf } from "./path.ts";
import { described, shortened, type Tokens } from "./tokens.ts";

/** Undefined where there is nothing. Ends before the token that cannot go on. */
export function parseExpression(tokens: Tokens): Expression | undefined {
  return new ExpressionParser(tokens).parse(0);
}

class ExpressionParser {
  readonly #tokens: Tokens;

  constructor(tokens: Tokens) {
    this.#tokens = tokens;
  }

  /** Operators by their precedence; undefined where there is nothing. Ends before what cannot go on. */
  parse(depth: number): Expression | undefined {
    if (depth > maxDepth) this.#tokens.fail("this expression is nested too deeply");
    const values: Expression[] = [];
    const waiting: Token[] = [];
    for (;;) {
      const { kind, text } = this.#tokens.now;
      if (kind === "string" || kind === "number") values.push(this.#literal(this.#tokens.now, this.#tokens.now));
      else if (kind === "sign" && (text === "[" || text === "{")) values.push(this.#brackets());
      else if (kind === "sign" && text === "(") values.push(this.#parentheses(depth));
      else if (kind === "sign" && text === "|") values.push(this.#pipe(values, depth));
      else if (kind === "id" && !Object.hasOwn(operators, text)) values.push(this.#word(depth));
      else if ((kind === "sign" || kind === "id") && Object.hasOwn(operators, text)) this.#operator(values, waiting);
      else break;
      this.#tokens.next();
    }
    while (waiting.length > 0) this.#apply(values, waiting);
    if (values.length > 1) this.#tokens.fail("these are several values, with no operator between them");
    return values[0];
  }

  #operator(values: Expression[], waiting: Token[]): void {
    const { precedence, isRight = false } = operators[this.#tokens.now.text] as (typeof operators)[string];
    for (;;) {
      const before = waiting.at(-1);
      if (before === undefined) break;
      const other = (operators[before.text] as (typeof operators)[string]).precedence;
      if (other < precedence || (other === precedence && isRight)) break;
      this.#apply(values, waiting);
    }
    waiting.push(this.#tokens.now);
  }

  #apply(values: Expression[], waiting: Token[]): void {
    const token = waiting.pop() as Token;
    const { values: count } = operators[token.text] as (typeof operators)[string];
    if (values.length < count) this.#tokens.fail(`${token.text} has too few values`, token);
    const args = values.splice(values.length - count);
    if (token.text === "." && args[1]?.[0] !== "var") this.#tokens.fail("a name is needed after the dot", token);
    values.push(["call", token.text, args, this.#tokens.at(token)]);
  }

  #literal(first: Token, last: Token): Expression {
    const text = this.#tokens.source.slice(first.start, last.start + last.text.length);
    try {
      parseJson(bytesOf(text));
    } catch {
      this.#tokens.fail(`${shortened(text)} is not valid JSON`, first);
    }
    return ["json", text];
  }

  #brackets(): Expression {
    const first = this.#tokens.now;
    for (let level = 0; ; this.#tokens.next()) {
      if (this.#tokens.isSign("[") || this.#tokens.isSign("{")) level++;
      else if (this.#tokens.isSign("]") || this.#tokens.isSign("}")) level--;
      if (level === 0) return this.#literal(first, this.#tokens.now);
      if (!["string", "number", "sign", "id"].includes(this.#tokens.now.kind))
        this.#tokens.fail(`${shortened(first.text)} has no end`, first);
    }
  }

  #parentheses(depth: number): Expression {
    const open = this.#tokens.now;
    this.#tokens.next();
    const inner = this.parse(depth + 1);
    if (!this.#tokens.isSign(")")) this.#tokens.fail(`expected ), got ${described(this.#tokens.now)}`);
    if (inner === undefined) this.#tokens.fail("these parentheses are empty", open);
    return inner;
  }

  #word(depth: number): Expression {
    const token = this.#tokens.now;
    if (token.text === "true" || token.text === "false" || token.text === "null") return ["json", token.text];
    const next = this.#tokens.peek();
    if (next.kind === "sign" && next.text === "(") {
      this.#tokens.next();
      return this.#call(token, [], depth);
    }
    const path = pathOf(token.text, this.#tokens.advanced);
    if (path === undefined) this.#tokens.fail(`${JSON.stringify(token.text)} is no JSON pointer: after ~ comes 0 or 1`, token);
    return ["var", token.text, path, this.#tokens.at(token)];
  }

  #pipe(values: Expression[], depth: number): Expression {
    const first = values.pop();
    if (first === undefined) this.#tokens.fail("there is nothing before |");
    this.#tokens.next();
    const token = this.#tokens.now;
    if (token.kind !== "id") this.#tokens.fail(`expected a function, got ${described(token)}`);
    const next = this.#tokens.peek();
    if (next.kind !== "sign" || next.text !== "(") return this.#known(token, [first]);
    this.#tokens.next();
    return this.#call(token, [first], depth);
  }

  /** From the parenthesis that opens to the one that closes. */
  #call(token: Token, args: Expression[], depth: number): Expression {
    do {
      this.#tokens.next();
      const each = this.parse(depth + 1);
      if (each === undefined) break;
      args.push(each);
    } while (this.#tokens.isSign(","));
    if (!this.#tokens.isSign(")")) this.#tokens.fail(`expected ) after the values of ${token.text}, got ${described(this.#tokens.now)}`);
    return this.#known(token, args);
  }

  #known(token: Token, args: readonly Expression[]): Expression {
    const name = token.text;
    if (name === "super") this.#tokens.fail("super is not supported: a template of a gateway stands alone", token);
    const counts = Object.hasOwn(functions, name) ? functions[name] : undefined;
    if (counts === undefined) this.#tokens.fail(`unknown function ${name}`, token);
    if (!counts.includes(args.length))
      this.#tokens.fail(`the function ${name} takes ${counts.join(" or ")} values, not ${args.length}`, token);
    return ["call", name, args, this.#tokens.at(token)];
  }
}
