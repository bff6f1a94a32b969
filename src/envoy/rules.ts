// Envoy's own rules about values, read from its schema (protoc-gen-validate): what would be refused is found before it is sent.
// One bad field makes Envoy refuse everything that travels with it, so this runs on every message that users have a say in.
//
// Checks run into nested messages, not into Any: who packs a message checks it first.
import { type DescField, type DescMessage, getOption, hasOption, isFieldSet, type Message } from "@bufbuild/protobuf";
import type { Duration } from "@bufbuild/protobuf/wkt";
import { type FieldRules, FieldRulesSchema, KnownRegex, required, rules } from "../gen/envoy/validate/validate_pb.js";

export interface Violation {
  /** The field, in proto-JSON spelling: `directResponse.status`. */
  readonly path: string;
  /** `value must be inside range [200, 600)`. */
  readonly message: string;
}

type Check = (message: Record<string, unknown>, path: string) => Violation | undefined;

/** The first value that Envoy would refuse. */
export function violationOf(schema: DescMessage, message: Message): Violation | undefined {
  return checkOf(schema)(message as unknown as Record<string, unknown>, "");
}

const checks = new WeakMap<DescMessage, Check>();

function checkOf(schema: DescMessage): Check {
  let check = checks.get(schema);
  if (check === undefined) {
    // Set before its fields are looked at: messages hold themselves.
    const parts: Check[] = [];
    check = (message, path) => {
      for (const part of parts) {
        const found = part(message, path);
        if (found) return found;
      }
      return undefined;
    };
    checks.set(schema, check);
    for (const field of schema.fields) {
      const part = fieldCheck(field);
      if (part) parts.push(part);
    }
    for (const oneof of schema.oneofs) {
      if (!hasOption(oneof, required) || !getOption(oneof, required)) continue;
      parts.push((message, path) => {
        const value = message[oneof.localName] as { case?: string } | undefined;
        return value?.case === undefined ? { path: path || oneof.name, message: "one of its choices is required" } : undefined;
      });
    }
  }
  return check;
}

/** Reads a field: of a oneof, only when it is the member that is set. */
function reader(field: DescField): (message: Record<string, unknown>) => unknown {
  const { oneof, localName } = field;
  if (oneof === undefined) return (message) => message[localName];
  return (message) => {
    const value = message[oneof.localName] as { case?: string; value?: unknown } | undefined;
    return value?.case === localName ? value.value : undefined;
  };
}

function fieldCheck(field: DescField): Check | undefined {
  const read = reader(field);
  const own = hasOption(field, rules) ? getOption(field, rules) : undefined;
  const join = (path: string) => (path ? `${path}.${field.jsonName}` : field.jsonName);
  const at = (path: string, message: string | undefined) => (message === undefined ? undefined : { path: join(path), message });
  switch (field.fieldKind) {
    case "list": {
      const item = valueCheck(field.message, own?.type.case === "repeated" ? own.type.value.items : undefined);
      const { minItems, maxItems } = own?.type.case === "repeated" ? own.type.value : {};
      if (!item && !minItems && !maxItems) return undefined;
      return (message, path) => {
        const list = (read(message) ?? []) as unknown[];
        if (minItems && list.length < minItems) return at(path, `must contain at least ${minItems} item(s)`);
        if (maxItems && list.length > maxItems) return at(path, `must contain no more than ${maxItems} item(s)`);
        if (item === undefined) return undefined;
        for (let i = 0; i < list.length; i++) {
          const found = item(list[i], `${join(path)}[${i}]`);
          if (found) return found;
        }
        return undefined;
      };
    }
    case "map": {
      const of = own?.type.case === "map" ? own.type.value : undefined;
      const key = of?.keys && valueCheck(undefined, of.keys);
      const value = valueCheck(field.message, of?.values);
      if (!key && !value && !of?.minPairs) return undefined;
      return (message, path) => {
        const entries = Object.entries((read(message) ?? {}) as Record<string, unknown>);
        if (of?.minPairs && entries.length < of.minPairs) return at(path, `must contain at least ${of.minPairs} pair(s)`);
        for (const [k, v] of entries) {
          const found = key?.(k, `${join(path)} key`) ?? value?.(v, `${join(path)}.${k}`);
          if (found) return found;
        }
        return undefined;
      };
    }
    case "message": {
      const isRequired =
        own?.message?.required ||
        (own?.type.case === "duration" && own.type.value.required) ||
        (own?.type.case === "any" && own.type.value.required);
      const value = own?.message?.skip ? undefined : valueCheck(field.message, own);
      if (!isRequired && !value) return undefined;
      return (message, path) => {
        const of = read(message);
        if (of === undefined) return isRequired && field.oneof === undefined ? at(path, "value is required") : undefined;
        return value?.(of, join(path));
      };
    }
    default: {
      const value = own && valueCheck(undefined, own);
      if (!value) return undefined;
      const empty = ignoresEmpty(own);
      return (message, path) => {
        const of = read(message);
        if (of === undefined || (empty && (of === "" || of === 0 || of === 0n))) return undefined;
        return value(of, join(path));
      };
    }
  }
}

function ignoresEmpty(of: FieldRules): boolean {
  const value = of.type.value;
  return value !== undefined && "ignoreEmpty" in value && value.ignoreEmpty === true;
}

type ValueCheck = (value: unknown, path: string) => Violation | undefined;

function valueCheck(message: DescMessage | undefined, of: FieldRules | undefined): ValueCheck | undefined {
  const rule = of && ruleCheck(of);
  const wrap = rule && ((value: unknown, path: string) => violation(path, rule(value)));
  if (message === undefined || message.typeName === "google.protobuf.Any") return wrap;
  if (message.typeName === "google.protobuf.Duration")
    return (value, path) => {
      const { seconds, nanos } = value as Duration;
      // Envoy reads no negative duration, and none above 9,223,372,036 s, whatever the field.
      if (seconds < 0n || nanos < 0 || nanos > 999_999_999) return violation(path, "value must not be negative");
      if (seconds > 9_223_372_036n) return violation(path, "value is too long");
      return wrap?.(value, path);
    };
  // Wrapped values and Structs are plain values in our messages.
  if (message.typeName.startsWith("google.protobuf.")) {
    if (!wrap) return undefined;
    return (value, path) =>
      wrap(typeof value === "object" && value !== null && "$typeName" in value && "value" in value ? value.value : value, path);
  }
  // Looked up when it runs, not now: messages hold themselves.
  let nested: Check | undefined;
  return (value, path) => {
    nested ??= checkOf(message);
    return nested(value as Record<string, unknown>, path);
  };
}

function violation(path: string, message: string | undefined): Violation | undefined {
  return message === undefined ? undefined : { path, message };
}

function ruleCheck(of: FieldRules): ((value: unknown) => string | undefined) | undefined {
  const { type } = of;
  switch (type.case) {
    case "string":
      return stringCheck(type.value);
    case "duration":
      return durationCheck(type.value);
    case "enum": {
      const { in: allowed, notIn: denied } = type.value;
      if (allowed.length === 0 && denied.length === 0) return undefined;
      return (value) =>
        denied.includes(value as number) || (allowed.length > 0 && !allowed.includes(value as number))
          ? "value is not one of those allowed"
          : undefined;
    }
    case "bytes":
      return type.value.minLen > 0n
        ? (value) =>
            (value as Uint8Array).length < type.value.minLen ? `value length must be at least ${type.value.minLen} bytes` : undefined
        : undefined;
    case "float":
    case "double":
    case "int32":
    case "int64":
    case "uint32":
    case "uint64":
      return numberCheck(type.value as never);
    default:
      return undefined;
  }
}

type NumberRules = { lt: number; lte: number; gt: number; gte: number; in: number[]; notIn: number[] } & Message;

function numberCheck(of: NumberRules): ((value: unknown) => string | undefined) | undefined {
  const set = presence(of);
  const [lt, lte, gt, gte] = [set("lt"), set("lte"), set("gt"), set("gte")];
  if (!lt && !lte && !gt && !gte && of.in.length === 0 && of.notIn.length === 0) return undefined;
  const text =
    (lt || lte) && (gt || gte)
      ? `value must be inside range ${gte ? `[${of.gte}` : `(${of.gt}`}, ${lte ? `${of.lte}]` : `${of.lt})`}`
      : lt || lte
        ? `value must be less than ${lte ? `or equal to ${of.lte}` : of.lt}`
        : `value must be greater than ${gte ? `or equal to ${of.gte}` : of.gt}`;
  return (value) => {
    const n = value as number;
    if ((lt && !(n < of.lt)) || (lte && !(n <= of.lte)) || (gt && !(n > of.gt)) || (gte && !(n >= of.gte))) return text;
    if (of.in.length > 0 && !of.in.includes(n)) return `value must be in list [${of.in.join(" ")}]`;
    if (of.notIn.includes(n)) return `value must not be in list [${of.notIn.join(" ")}]`;
    return undefined;
  };
}

type StringRules = Extract<FieldRules["type"], { case: "string" }>["value"];

function stringCheck(of: StringRules): ((value: unknown) => string | undefined) | undefined {
  const set = presence(of);
  const isHeader = of.wellKnown.case === "wellKnownRegex" ? of.wellKnown.value : undefined;
  const strict = !set("strict") || of.strict;
  const minimum = of.minLen > of.minBytes ? of.minLen : of.minBytes;
  const maximum = set("maxLen") ? of.maxLen : set("maxBytes") ? of.maxBytes : undefined;
  if (minimum === 0n && maximum === undefined && !isHeader && of.in.length === 0 && of.prefix === "") return undefined;
  return (value) => {
    const text = value as string;
    if (BigInt(text.length) < minimum) return minimum === 1n ? "value must not be empty" : `value length must be at least ${minimum}`;
    if (maximum !== undefined && BigInt(text.length) > maximum) return `value length must be at most ${maximum}`;
    if (of.in.length > 0 && !of.in.includes(text)) return `value must be in list [${of.in.join(" ")}]`;
    if (!text.startsWith(of.prefix)) return `value does not have prefix ${JSON.stringify(of.prefix)}`;
    if (isHeader && text !== "" && !headerPattern(isHeader, strict).test(text))
      return isHeader === KnownRegex.HTTP_HEADER_NAME
        ? "value is not a header name"
        : "value holds a line break, NUL or other control character";
    return undefined;
  };
}

function headerPattern(kind: KnownRegex, strict: boolean): RegExp {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what the rule is about
  if (!strict) return /^[^\u0000\u000A\u000D]*$/;
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what the rule is about
  return kind === KnownRegex.HTTP_HEADER_NAME ? /^:?[0-9a-zA-Z!#$%&'*+\-.^_|~`]+$/ : /^[^\u0000-\u0008\u000A-\u001F\u007F]*$/;
}

type DurationRules = Extract<FieldRules["type"], { case: "duration" }>["value"];

function durationCheck(of: DurationRules): ((value: unknown) => string | undefined) | undefined {
  const { lt, lte, gt, gte } = of;
  if (!lt && !lte && !gt && !gte) return undefined;
  return (value) => {
    const n = nanosOf(value as Duration);
    if (gt && n <= nanosOf(gt)) return `value must be greater than ${text(gt)}`;
    if (gte && n < nanosOf(gte)) return `value must be at least ${text(gte)}`;
    if (lt && n >= nanosOf(lt)) return `value must be less than ${text(lt)}`;
    if (lte && n > nanosOf(lte)) return `value must be at most ${text(lte)}`;
    return undefined;
  };
}

const nanosOf = ({ seconds, nanos }: Duration): bigint => seconds * 1_000_000_000n + BigInt(nanos);
const text = (duration: Duration): string => `${Number(nanosOf(duration)) / 1e9}s`;

/** Rules are proto2: whether `lt: 0` is written matters. */
function presence(of: Message): (name: string) => boolean {
  const schema = schemas.get(of.$typeName);
  return (name) => {
    const field = schema?.field[name];
    return field !== undefined && schema !== undefined && isFieldSet(of as never, field as never);
  };
}

/** The messages of rules, by name: `validate.UInt32Rules`. */
const schemas = new Map(
  FieldRulesSchema.fields.flatMap((field) => (field.fieldKind === "message" ? [[field.message.typeName, field.message] as const] : [])),
);

/** For tests: whether a schema has rules at all. */
export function hasRules(schema: DescMessage): boolean {
  return schema.fields.some((field) => hasOption(field, rules));
}
