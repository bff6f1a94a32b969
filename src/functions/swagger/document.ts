// Text → what of a Swagger 2 or OpenAPI 3 document matters: operations with their parameters and the fields of their bodies. Pure and
// bounded: a document may be made to hurt. References are followed within the document only.
import { JSON_SCHEMA, load } from "js-yaml";

export interface Operation {
  readonly method: string;
  /** Path of the document's server. */
  readonly base: string;
  readonly path: string;
  readonly id: string | undefined;
  readonly query: readonly string[];
  readonly headers: readonly string[];
  /** Absent: the operation names no body. `fields` is absent where nothing is known about what is in it. */
  readonly body?: { readonly fields?: readonly BodyField[] };
}

export interface BodyField {
  readonly name: string;
  readonly isText: boolean;
  readonly default?: string;
}

export interface OpenApiDocument {
  readonly operations: readonly Operation[];
  readonly leftOut: readonly string[];
}

export const maxOperations = 1_000;
const maxPaths = 10_000;
const maxParameters = 100;
const maxFields = 200;
const methods = ["get", "put", "post", "delete", "options", "head", "patch"] as const;

type Json = Readonly<Record<string, unknown>>;

/** Undefined when the text is no such document. */
export function readDocument(text: string): OpenApiDocument | undefined {
  const root = parsed(text);
  if (root === undefined) return undefined;
  const isOld = typeof root.swagger === "string" && root.swagger.startsWith("2.");
  const isNew = typeof root.openapi === "string" && root.openapi.startsWith("3.");
  const paths = own(root, "paths");
  if ((!isOld && !isNew) || !isObject(paths)) return undefined;
  const base = isOld ? textOf(own(root, "basePath")) : serverPath(root);
  const operations: Operation[] = [];
  const leftOut: string[] = [];
  const context = { root, isOld };
  let seen = 0;
  for (const [path, written] of Object.entries(paths)) {
    if (++seen > maxPaths) {
      leftOut.push(`paths after the first ${maxPaths}`);
      break;
    }
    const item = resolve(root, written);
    if (!path.startsWith("/") || path.length > 1_024 || item === undefined) continue;
    for (const method of methods) {
      const operation = resolve(root, own(item, method));
      if (operation === undefined) continue;
      if (operations.length === maxOperations) {
        leftOut.push(`functions after the first ${maxOperations}`);
        return { operations, leftOut };
      }
      operations.push(read(method, base, path, item, operation, context));
    }
  }
  return { operations, leftOut };
}

function parsed(text: string): Json | undefined {
  const begin = text.replace(/^\uFEFF/, "").trimStart();
  try {
    // JSON first: it is most of them, and much faster.
    const root = begin.startsWith("{") ? jsonOrYaml(begin) : begin.startsWith("<") ? undefined : load(begin, { schema: JSON_SCHEMA });
    return isObject(root) ? root : undefined;
  } catch {
    return undefined;
  }
}

function jsonOrYaml(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return load(text, { schema: JSON_SCHEMA });
  }
}

interface Context {
  readonly root: Json;
  readonly isOld: boolean;
}

function read(method: string, base: string, path: string, item: Json, operation: Json, { root, isOld }: Context): Operation {
  // An operation's parameter replaces the path's of the same name and place.
  const parameters = new Map<string, Json>();
  for (const holder of [item, operation])
    for (const each of list(own(holder, "parameters")).slice(0, maxParameters)) {
      const parameter = resolve(root, each);
      const name = parameter && own(parameter, "name");
      if (parameter && typeof name === "string") parameters.set(`${textOf(own(parameter, "in"))} ${name}`, parameter);
    }
  const named = (place: string) =>
    [...parameters.values()].filter((each) => own(each, "in") === place).map((each) => own(each, "name") as string);
  const id = own(operation, "operationId");
  const body = isOld ? [...parameters.values()].find((each) => own(each, "in") === "body") : resolve(root, own(operation, "requestBody"));
  const schema = body && (isOld ? own(body, "schema") : jsonSchema(root, body));
  const fields = schema === undefined ? undefined : fieldsOf(root, schema);
  return {
    method: method.toUpperCase(),
    base,
    path,
    id: typeof id === "string" && id !== "" ? id : undefined,
    query: named("query"),
    headers: named("header"),
    ...(body && { body: fields && fields.length > 0 ? { fields } : {} }),
  };
}

/** The schema of a body that is JSON, or of any. */
function jsonSchema(root: Json, body: Json): unknown {
  const content = own(body, "content");
  if (!isObject(content)) return undefined;
  const type = ["application/json", "*/*", ...Object.keys(content).slice(0, 20)].find(
    (each) => isObject(own(content, each)) && /json|\*\/\*/.test(each),
  );
  const media = type === undefined ? undefined : resolve(root, own(content, type));
  return media && own(media, "schema");
}

/** The top-level fields of an object, those of `allOf` among them; undefined for what is no object. */
function fieldsOf(root: Json, written: unknown, depth = 0): readonly BodyField[] | undefined {
  const schema = resolve(root, written);
  if (schema === undefined || depth > 10) return undefined;
  const fields = new Map<string, BodyField>();
  for (const part of list(own(schema, "allOf")).slice(0, 20))
    for (const each of fieldsOf(root, part, depth + 1) ?? []) fields.set(each.name, each);
  const properties = own(schema, "properties");
  if (isObject(properties))
    for (const [name, value] of Object.entries(properties).slice(0, maxFields)) {
      const property = resolve(root, value) ?? {};
      const type = own(property, "type");
      const standard = own(property, "default");
      fields.set(name, {
        name,
        isText: type === "string" || list(type).includes("string"),
        ...((typeof standard === "string" || typeof standard === "number" || typeof standard === "boolean") && {
          default: String(standard),
        }),
      });
    }
  return [...fields.values()].slice(0, maxFields);
}

/** An object, with its `#/` references followed; undefined for anything else, circles and references to elsewhere among it. */
function resolve(root: Json, value: unknown): Json | undefined {
  const seen = new Set<string>();
  let at = value;
  for (;;) {
    if (!isObject(at)) return undefined;
    const reference = own(at, "$ref");
    if (typeof reference !== "string") return at;
    if (!reference.startsWith("#/") || seen.has(reference) || seen.size > 50) return undefined;
    seen.add(reference);
    at = reference
      .slice(2)
      .split("/")
      .slice(0, 50)
      .reduce<unknown>((holder, step) => (isObject(holder) ? own(holder, unescaped(step)) : undefined), root);
  }
}

function unescaped(step: string): string {
  const plain = step.replaceAll("~1", "/").replaceAll("~0", "~");
  try {
    return decodeURIComponent(plain);
  } catch {
    return plain;
  }
}

/** The path of the first server; its variables have their defaults. */
function serverPath(root: Json): string {
  const [first] = list(own(root, "servers"));
  if (!isObject(first)) return "";
  const variables = own(first, "variables");
  const url = textOf(own(first, "url")).replace(/\{([^{}]+)\}/g, (_, name: string) => {
    const variable = isObject(variables) ? own(variables, name) : undefined;
    return isObject(variable) ? textOf(own(variable, "default")) : "";
  });
  return URL.canParse(url, "http://x") ? new URL(url, "http://x").pathname.replace(/\/$/, "") : "";
}

function own(holder: Json, name: string): unknown {
  return Object.hasOwn(holder, name) ? holder[name] : undefined;
}

function textOf(value: unknown): string {
  return typeof value === "string" && value.length <= 1_024 ? value : "";
}

function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

function isObject(value: unknown): value is Json {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
