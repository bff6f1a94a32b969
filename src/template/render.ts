// A template as closures: built once, rendered for each message. The embedded data plane and `headworks template test` run these; Envoy
// runs lua/render.ts, which is the same in Lua.
import { type Block, type Expression, type Node, type Position, TemplateFault } from "./ast.ts";
import { implementations, round, spent } from "./functions.ts";
import { bytesOf, dumpJson, escaped, parseJson } from "./json.ts";
import { pathOf } from "./path.ts";
import type { Scope } from "./scope.ts";
import { Float, isArray, isNumber, isObject, isTrue, itemsOf, type JsonObject, kindOf, sortedKeys, textOf, type Value } from "./value.ts";

export type Render = (scope: Scope) => string;
type Print = (scope: Scope, out: string[]) => void;
/** Undefined: a variable that is not there. */
type Evaluate = (scope: Scope) => Value | undefined;

export interface RenderOptions {
  /** Texts are printed as they stand in JSON. */
  readonly escapes: boolean;
}

export function compileTemplate(block: Block, options: RenderOptions): Render {
  const print = compileBlock(block, options);
  return (scope) => {
    scope.locals.clear();
    scope.locals.set("loop", null);
    const out: string[] = [];
    print(scope, out);
    return out.join("");
  };
}

function compileBlock(block: Block, options: RenderOptions): Print {
  const prints = block.map((node) => compileNode(node, options));
  return (scope, out) => {
    for (const print of prints) print(scope, out);
  };
}

function compileNode(node: Node, options: RenderOptions): Print {
  if (typeof node === "string") {
    const text = bytesOf(node);
    return (scope, out) => out.push(spent(scope, text));
  }
  switch (node[0]) {
    case "print": {
      const value = needed(node[1]);
      return (scope, out) => out.push(spent(scope, printed(value(scope), options)));
    }
    case "if": {
      const condition = needed(node[1]);
      const [then, otherwise] = [compileBlock(node[2], options), compileBlock(node[3], options)];
      return (scope, out) => (isTrue(condition(scope)) ? then(scope, out) : otherwise(scope, out));
    }
    case "set": {
      const value = needed(node[2]);
      const path = node[1];
      return (scope) => {
        const given = value(scope);
        const [name = "", ...rest] = path;
        scope.locals.set(name, withAt(scope.locals.get(name), rest, given));
      };
    }
    default:
      return compileFor(node, options);
  }
}

function printed(value: Value, { escapes }: RenderOptions): string {
  if (typeof value === "string") return escapes ? escaped(value) : value;
  return value === null ? "" : dumpJson(value);
}

function compileFor([, names, of, block, at]: Extract<Node, readonly ["for", ...unknown[]]>, options: RenderOptions): Print {
  const list = needed(of);
  const body = compileBlock(block, options);
  const [first = "", second] = names;
  return (scope, out) => {
    const value = list(scope);
    const keys = second === undefined ? undefined : isObject(value) ? sortedKeys(value) : fault("an object is needed", value, at);
    const items = keys === undefined && !isArray(value) ? fault("an array is needed", value, at) : itemsOf(value);
    const { locals } = scope;
    const outer = locals.get("loop") ?? null;
    const hasOuter = isObject(outer) && outer.size > 0;
    items.forEach((item, index) => {
      round(scope, 1);
      if (keys === undefined) locals.set(first, item);
      else {
        locals.set(first, keys[index] as string);
        locals.set(second as string, item);
      }
      locals.set("loop", loopOf(index, items.length, hasOuter ? outer : undefined));
      body(scope, out);
    });
    for (const name of names) locals.set(name, cleared(locals.get(name)));
    if (hasOuter) locals.set("loop", outer);
  };
}

function loopOf(index: number, length: number, parent: JsonObject | undefined): JsonObject {
  const loop = new Map<string, Value>([
    ["index", index],
    ["index1", index + 1],
    ["is_first", index === 0],
    ["is_last", index === length - 1],
  ]);
  if (parent) loop.set("parent", parent);
  return loop;
}

/** After its loop a variable is still there, as the empty value of its kind. */
function cleared(value: Value | undefined): Value {
  if (value === undefined || value === null) return null;
  if (typeof value === "string") return "";
  if (typeof value === "boolean") return false;
  if (value instanceof Float) return new Float(0);
  if (isNumber(value)) return 0;
  return isArray(value) ? [] : new Map<string, Value>();
}

function fault(what: string, value: Value, at: Position): never {
  throw new TemplateFault(`${what}, not ${kindOf(value)}`, at);
}

/** The value with another value at the path in it; what is shared stays as it is. */
function withAt(value: Value | undefined, path: readonly string[], given: Value): Value {
  const [step, ...rest] = path;
  if (step === undefined) return given;
  if (isArray(value) || ((value === undefined || value === null) && /^[0-9]+$/.test(step))) {
    const list = isArray(value) ? [...value] : [];
    const index = /^(0|[1-9][0-9]{0,4})$/.test(step) ? Number(step) : -1;
    if (index < 0) throw new TemplateFault(`an array has no item ${step}`);
    while (list.length < index) list.push(null);
    list[index] = withAt(list[index], rest, given);
    return list;
  }
  if (value !== undefined && value !== null && !isObject(value)) throw new TemplateFault(`there is nothing to set in ${kindOf(value)}`);
  const object = new Map(isObject(value) ? value : []);
  object.set(step, withAt(object.get(step), rest, given));
  return object;
}

/** A value that has to be there. */
function needed(expression: Expression): (scope: Scope) => Value {
  const evaluate = compileExpression(expression);
  if (expression[0] === "json") return evaluate as (scope: Scope) => Value;
  return (scope) => {
    const value = evaluate(scope);
    return value === undefined ? absent(expression) : value;
  };
}

function absent(expression: Expression): never {
  if (expression[0] === "var") throw new TemplateFault(`variable '${expression[1]}' not found`, expression[3]);
  throw new TemplateFault("there is no value");
}

function compileExpression(expression: Expression): Evaluate {
  switch (expression[0]) {
    case "json": {
      const value = parseJson(bytesOf(expression[1]));
      return () => value;
    }
    case "var":
      return compileVariable(expression[1], expression[2]);
    default:
      return compileCall(expression);
  }
}

function compileVariable(name: string, path: readonly string[]): Evaluate {
  const steps = path.map(bytesOf);
  return (scope) => {
    const local = found(scope.locals, steps);
    if (local !== undefined) return local;
    const value = found(scope.root, steps);
    if (value !== undefined) return value;
    // Functions without values may be called without parentheses.
    return name === "body" ? scope.body : name === "context" ? scope.context : undefined;
  };
}

function found(root: JsonObject, steps: readonly string[]): Value | undefined {
  let at: Value | undefined = root;
  for (const step of steps) {
    if (isObject(at)) at = at.get(step);
    else if (isArray(at)) at = /^(0|[1-9][0-9]{0,9})$/.test(step) ? at[Number(step)] : undefined;
    else return undefined;
    if (at === undefined) return undefined;
  }
  return at;
}

function compileCall([, name, args, at]: Extract<Expression, readonly ["call", ...unknown[]]>): Evaluate {
  const [first, second] = args as readonly [Expression, Expression];
  switch (name) {
    case "and": {
      const [x, y] = [needed(first), needed(second)];
      return (scope) => isTrue(x(scope)) && isTrue(y(scope));
    }
    case "or": {
      const [x, y] = [needed(first), needed(second)];
      return (scope) => isTrue(x(scope)) || isTrue(y(scope));
    }
    case "default": {
      const [x, y] = [compileExpression(first), needed(second)];
      return (scope) => {
        const value = x(scope);
        return value === undefined ? y(scope) : value;
      };
    }
    case "exists": {
      const which = needed(first);
      return placed(at, (scope) => {
        const path = pathOf(textOf(which(scope)), false);
        return path !== undefined && found(scope.root, path) !== undefined;
      });
    }
    case ".": {
      const container = needed(first);
      const path = (second[0] === "var" ? second[2] : []).map(bytesOf);
      return (scope) => {
        const value = container(scope);
        const member = isObject(value) ? found(value, path) : undefined;
        if (member === undefined) throw new TemplateFault("could not find element with given name", at);
        return member;
      };
    }
  }
  const values = args.map(needed);
  const run = implementations[name];
  if (run === undefined) throw new TemplateFault(`unknown function ${name}`, at);
  return placed(at, (scope) => {
    const result = run(
      values.map((value) => value(scope)),
      scope,
    );
    return typeof result === "string" ? spent(scope, result) : result;
  });
}

/** A fault without a place is that of this call. */
function placed(at: Position, evaluate: (scope: Scope) => Value): Evaluate {
  return (scope) => {
    try {
      return evaluate(scope);
    } catch (error) {
      throw error instanceof TemplateFault && error.at === undefined ? new TemplateFault(error.message, at) : error;
    }
  };
}
