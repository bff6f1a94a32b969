// JSON and the values from a path and its query, as the messages of a call.

import { type DescField, type DescMessage, fromJson, type JsonObject, type JsonValue, toBinary } from "@bufbuild/protobuf";
import type { Called, Transcoder } from "./transcoderMethods.ts";
import { isHttpBody } from "./transcoderMethods.ts";

/** What is wrong with a request, in words for its client. */
export class RequestFault extends Error {}

/** A value and the fields that lead to it. */
interface Bound {
  readonly fields: readonly DescField[];
  readonly value: string;
}

/** Throws a fault for a parameter that is no field. */
export function boundFields({ rule, bindings }: Called, { ignoresUnknown }: Transcoder): Bound[] {
  return bindings.flatMap(({ field, value }) => {
    const fields = fieldsOf(rule.method.input, field);
    if (Array.isArray(fields)) return [{ fields, value: Buffer.from(value, "latin1").toString("utf8") }];
    if (ignoresUnknown) return [];
    throw new RequestFault(`Could not find field "${fields.unknown}" in the type "${fields.in}".`);
  });
}

interface NoField {
  readonly unknown: string;
  readonly in: string;
}

function fieldsOf(message: DescMessage, names: readonly string[]): DescField[] | NoField {
  const fields: DescField[] = [];
  let at: DescMessage | undefined = message;
  let type = message.typeName;
  for (const name of names) {
    const field: DescField | undefined = at?.fields.find((each) => each.name === name || each.jsonName === name);
    if (field === undefined) return { unknown: name, in: type };
    fields.push(field);
    at = field.fieldKind === "message" ? field.message : undefined;
    type = at?.typeName ?? field.name;
  }
  return fields;
}

/** The frames of the call. */
export function requestFrames(called: Called, bound: readonly Bound[], body: Buffer, contentType: string, transcoder: Transcoder): Buffer {
  const { method } = called.rule;
  const bodyType = typeOfBody(called);
  if (isHttpBody(bodyType)) return frame(httpBodyRequest(called, bound, body, contentType, transcoder));
  const value = body.length === 0 ? undefined : parsed(body);
  if (method.methodKind !== "client_streaming" && method.methodKind !== "bidi_streaming")
    return frame(messageOf(called, bound, value, transcoder));
  if (value !== undefined && !Array.isArray(value)) throw new RequestFault("Expected an array of messages.");
  // Values of the path are of the first message.
  return Buffer.concat((value ?? []).map((each, index) => frame(messageOf(called, index === 0 ? bound : [], each, transcoder))));
}

function typeOfBody({ rule }: Called): DescMessage | undefined {
  const fields = fieldsOf(rule.method.input, rule.body);
  const last = Array.isArray(fields) ? fields.at(-1) : undefined;
  if (last === undefined) return rule.method.input;
  return last.fieldKind === "message" ? last.message : undefined;
}

/** Whole numbers that JavaScript cannot hold stay the text that they were. */
function parsed(body: Buffer): JsonValue {
  try {
    return JSON.parse(body.toString("utf8"), (_key, value: unknown, context?: { readonly source?: string }) =>
      typeof value === "number" && !Number.isSafeInteger(value) && /^-?\d+$/.test(context?.source ?? "") ? context?.source : value,
    ) as JsonValue;
  } catch (error) {
    throw new RequestFault((error as Error).message);
  }
}

function messageOf({ rule }: Called, bound: readonly Bound[], body: JsonValue | undefined, transcoder: Transcoder): Uint8Array {
  const { input } = rule.method;
  const json = body === undefined ? {} : placed(rule.body, body);
  if (!isObject(json)) throw new RequestFault("Expected an object.");
  const said = new Set<string>();
  for (const each of bound) put(json, each, said, transcoder);
  try {
    return toBinary(input, fromJson(input, known(input, json, transcoder), { registry: transcoder.registry }));
  } catch (error) {
    throw new RequestFault((error as Error).message);
  }
}

function placed(path: readonly string[], value: JsonValue): JsonValue {
  return path.reduceRight<JsonValue>((inner, name) => ({ [name]: inner }), value);
}

/** Without what no field is for. Whatever else is wrong is a fault, an enum without that value too. */
function known(message: DescMessage, json: JsonValue, transcoder: Transcoder): JsonValue {
  // The messages of Google have forms of their own.
  if (!isObject(json) || message.typeName.startsWith("google.protobuf.")) return json;
  const kept: JsonObject = {};
  for (const [key, value] of Object.entries(json)) {
    const field = message.fields.find(({ name, jsonName }) => name === key || jsonName === key);
    if (field !== undefined) kept[key] = knownIn(field, value, transcoder);
  }
  return kept;
}

function knownIn(field: DescField, value: JsonValue, transcoder: Transcoder): JsonValue {
  const each = (one: JsonValue): JsonValue => {
    if (field.message !== undefined) return known(field.message, one, transcoder);
    return field.enum !== undefined && typeof one === "string" ? enumOf(field, one, transcoder) : one;
  };
  if (field.message === undefined && field.enum === undefined) return value;
  if (Array.isArray(value)) return value.map(each);
  if (field.fieldKind !== "map" || !isObject(value)) return each(value);
  return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, each(one)]));
}

/** For a field with one value, what the body says counts, and of several values beside it the last. */
function put(json: JsonObject, { fields, value }: Bound, said: Set<string>, transcoder: Transcoder): void {
  let at = json;
  for (const field of fields.slice(0, -1)) {
    const key = keyOf(at, field);
    if (!isObject(at[key])) at[key] = {};
    at = at[key] as JsonObject;
  }
  const field = fields.at(-1) as DescField;
  const key = keyOf(at, field);
  const next = scalarOf(field, value, transcoder);
  const before = at[key];
  if (field.fieldKind === "list") {
    at[key] = [...(Array.isArray(before) ? before : []), next];
    return;
  }
  const path = fields.map(({ name }) => name).join(".");
  if (before === undefined || said.has(path)) {
    said.add(path);
    at[key] = next;
  } else if (transcoder.rejectsCollisions && before !== next)
    throw new RequestFault(
      `The binding value "${value}" of the field ${field.name} is conflicting with the value "${String(before)}" in the body.`,
    );
}

/** As it is written there already, or as JSON has it. */
function keyOf(json: JsonObject, { name, jsonName }: DescField): string {
  return Object.hasOwn(json, name) ? name : jsonName;
}

/** Text for a field: JSON has text for all but truth values, and for what is itself an object. */
function scalarOf(field: DescField, value: string, transcoder: Transcoder): JsonValue {
  const isBoolean = (field.scalar === 8 && field.fieldKind !== "map") || field.message?.typeName === "google.protobuf.BoolValue";
  if (isBoolean && (value === "true" || value === "false")) return value === "true";
  if (field.enum === undefined) return value;
  return /^-?\d+$/.test(value) ? Number(value) : enumOf(field, value, transcoder);
}

function enumOf({ enum: type }: DescField, value: string, { ignoresCase }: Transcoder): string {
  if (!ignoresCase) return value;
  return type?.values.find(({ name }) => name.toUpperCase() === value.toUpperCase())?.name ?? value;
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The body as it is, with its type. */
function httpBodyRequest(called: Called, bound: readonly Bound[], body: Buffer, contentType: string, transcoder: Transcoder): Uint8Array {
  return messageOf(called, bound, { contentType, data: body.toString("base64") }, transcoder);
}

/** Not compressed, and how long it is. */
function frame(message: Uint8Array): Buffer {
  const framed = Buffer.alloc(5 + message.length);
  framed.writeUInt32BE(message.length, 1);
  framed.set(message, 5);
  return framed;
}
