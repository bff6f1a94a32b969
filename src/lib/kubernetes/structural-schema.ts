// Whether an object fits the schema of a definition, as the API server would judge it: what is refused, and what is dropped without a
// word. Knows the keywords that definitions of ours have (`judged`, `harmless`); others are not looked at.

/** Keywords that are looked at. */
export const judged = [
  "type",
  "nullable",
  "properties",
  "additionalProperties",
  "items",
  "required",
  "format",
  "minimum",
  "maximum",
  "x-kubernetes-preserve-unknown-fields",
  "x-kubernetes-int-or-string",
] as const;

/** Keywords that refuse nothing: `anyOf` with an empty alternative only tells editors what there is. */
export const harmless = ["anyOf", "description", "x-kubernetes-list-type", "x-kubernetes-list-map-keys"] as const;

export interface Schema {
  readonly type?: string;
  readonly nullable?: boolean;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly additionalProperties?: Schema | boolean;
  readonly items?: Schema;
  readonly required?: readonly string[];
  readonly format?: string;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly "x-kubernetes-preserve-unknown-fields"?: boolean;
  readonly "x-kubernetes-int-or-string"?: boolean;
  readonly [keyword: string]: unknown;
}

export interface Misfit {
  /** `spec.static.hosts[0].port`. */
  readonly path: string;
  /** In words: `is a string, and has to be an integer`. */
  readonly message: string;
}

export function misfitsOf(schema: Schema, value: unknown): Misfit[] {
  const found: Misfit[] = [];
  visit(schema, value, "", found);
  return found;
}

/** What a schema says of each field, by path; a list's items are `[]`, a map's values `{}`. */
export function fieldsOf(schema: Schema): Map<string, string> {
  const fields = new Map<string, string>();
  const walk = (at: Schema, path: string) => {
    const { properties = {}, items, additionalProperties, description: _, ...rules } = at;
    if (path !== "") fields.set(path, JSON.stringify(Object.entries(rules).sort()));
    for (const [name, each] of Object.entries(properties)) walk(each, path === "" ? name : `${path}.${name}`);
    if (items) walk(items, `${path}[]`);
    if (typeof additionalProperties === "object") walk(additionalProperties, `${path}{}`);
  };
  walk(schema, "");
  return fields;
}

function visit(schema: Schema, value: unknown, path: string, found: Misfit[]): void {
  const misfit = (message: string) => void found.push({ path, message });
  if (value === null) {
    if (schema.nullable !== true && schema.type !== undefined) misfit("is null, and may not be");
    return;
  }
  if (schema["x-kubernetes-int-or-string"] === true) {
    if (!Number.isInteger(value) && typeof value !== "string") misfit(`is ${article(typeOf(value))}, and has to be an integer or a string`);
    return;
  }
  if (schema.type !== undefined && !isOfType(value, schema.type)) {
    misfit(`is ${article(typeOf(value))}, and has to be ${article(schema.type)}`);
    return;
  }
  if (typeof value === "number") visitNumber(schema, value, misfit);
  else if (Array.isArray(value)) value.forEach((each, i) => void visit(schema.items ?? {}, each, `${path}[${i}]`, found));
  else if (typeof value === "object") visitObject(schema, value as Readonly<Record<string, unknown>>, path, found);
}

const integers: Readonly<Record<string, number>> = { int32: 2 ** 31, int64: 2 ** 63 };

function visitNumber({ minimum, maximum, format }: Schema, value: number, misfit: (message: string) => void): void {
  if (minimum !== undefined && value < minimum) misfit(`is ${value}, and has to be ${minimum} at least`);
  if (maximum !== undefined && value > maximum) misfit(`is ${value}, and may be ${maximum} at most`);
  const limit = integers[format ?? ""];
  if (limit !== undefined && (value < -limit || value >= limit)) misfit(`is ${value}, and has to be an ${format}`);
}

/** What every object has, whatever its schema says; only at the top. */
const everybodys = new Set(["apiVersion", "kind", "metadata"]);

function visitObject(schema: Schema, value: Readonly<Record<string, unknown>>, path: string, found: Misfit[]): void {
  const { properties = {}, additionalProperties, required = [] } = schema;
  for (const name of required)
    if (!Object.hasOwn(value, name)) found.push({ path: below(path, name), message: "is missing, and is required" });
  for (const [name, each] of Object.entries(value)) {
    if (path === "" && everybodys.has(name)) continue;
    const at = below(path, name);
    if (Object.hasOwn(properties, name)) visit(properties[name] as Schema, each, at, found);
    else if (typeof additionalProperties === "object") visit(additionalProperties, each, at, found);
    else if (additionalProperties !== true && schema["x-kubernetes-preserve-unknown-fields"] !== true)
      found.push({ path: at, message: "is not known, and would be dropped" });
  }
}

function below(path: string, name: string): string {
  return path === "" ? name : `${path}.${name}`;
}

function isOfType(value: unknown, type: string): boolean {
  const is = typeOf(value);
  return is === type || (type === "number" && is === "integer");
}

function typeOf(value: unknown): string {
  if (Array.isArray(value)) return "array";
  return Number.isInteger(value) ? "integer" : typeof value;
}

function article(type: string): string {
  return `${/^[aeio]/.test(type) ? "an" : "a"} ${type}`;
}
