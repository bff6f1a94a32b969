// Envoy's own rules about values, read from its schema (protoc-gen-validate): what would be refused is found before it is sent.
// One value that breaks a rule makes Envoy refuse everything that travels with it.
//
// A schema is compiled once into checks that say nothing, and allocate nothing, when all is well. What is inside an Any was
// checked when it was packed (encode.ts keeps the findings beside it), so no bytes are decoded here. The rules of single values
// are in valueRules.ts.
import { type DescField, type DescMessage, getOption, hasOption, type Message } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { disabled, type FieldRules, ignored, required, rules } from "../gen/envoy/validate/validate_pb.js";
import { unwrittenRules } from "./unwrittenRules.ts";
import { durationFault, type ValueRule, valueRule } from "./valueRules.ts";

export interface Violation {
  /** The field, in proto-JSON spelling: `commonLbConfig.healthyPanicThreshold.value`. Empty for the message itself. */
  readonly path: string;
  /** The rule, as Envoy words it: `value must be inside range [0, 100]`. */
  readonly message: string;
}

/** Everything in a message, nested messages included, that Envoy would refuse; an empty list when all is well. */
export function violationsOf(schema: DescMessage, message: Message): readonly Violation[] {
  return checkOf(schema)(message as unknown as Fields) ?? none;
}

/** Notes what is wrong inside an Any, for when a message that holds it is checked. */
export function notePacked(any: Any, violations: readonly Violation[]): void {
  if (violations.length > 0) packed.set(any, violations);
}

const none: readonly Violation[] = [];
const packed = new WeakMap<object, readonly Violation[]>();

type Fields = Readonly<Record<string, unknown>>;
/** Undefined when all is well. */
type Check = (value: unknown) => readonly Violation[] | undefined;

const compiled = new WeakMap<DescMessage, Check>();

function checkOf(schema: DescMessage): Check {
  const known = compiled.get(schema);
  if (known) return known;
  const parts: ((message: Fields) => readonly Violation[] | undefined)[] = [];
  const check: Check = (message) => {
    let found: Violation[] | undefined;
    for (let i = 0; i < parts.length; i++) {
      const more = (parts[i] as (typeof parts)[number])(message as Fields);
      if (more) found = found ? [...found, ...more] : [...more];
    }
    return found;
  };
  // Noted before its fields are looked at: messages hold themselves.
  compiled.set(schema, check);
  const unwritten = unwrittenRules[schema.typeName];
  if (unwritten)
    parts.push((message) => {
      const found = unwritten(message as never);
      return found && [found];
    });
  if (isSwitchedOff(schema)) return check;
  for (const field of schema.fields) {
    const part = fieldCheck(field);
    if (part) parts.push(part);
  }
  for (const { localName, proto } of schema.oneofs.filter((oneof) => hasOption(oneof, required) && getOption(oneof, required))) {
    parts.push((message) =>
      (message[localName] as { case?: string }).case === undefined
        ? [{ path: "", message: `one of ${proto.name} is required` }]
        : undefined,
    );
  }
  return check;
}

function isSwitchedOff(schema: DescMessage): boolean {
  return [disabled, ignored].some((option) => hasOption(schema, option) && getOption(schema, option));
}

function fieldCheck(field: DescField): ((message: Fields) => readonly Violation[] | undefined) | undefined {
  const own = hasOption(field, rules) ? getOption(field, rules) : undefined;
  const { localName, jsonName } = field;
  const check = ofField(field, own);
  if (!check) return undefined;
  if (field.oneof) {
    const oneof = field.oneof.localName;
    return (message) => {
      const chosen = message[oneof] as { case?: string; value?: unknown };
      return chosen.case === localName ? under(jsonName, check(chosen.value)) : undefined;
    };
  }
  return (message) => under(jsonName, check(message[localName]));
}

function ofField(field: DescField, own: FieldRules | undefined): Check | undefined {
  switch (field.fieldKind) {
    case "list":
      return listCheck(field, own?.type.case === "repeated" ? own.type.value : undefined);
    case "map":
      return mapCheck(field, own?.type.case === "map" ? own.type.value : undefined);
    case "message": {
      const value = own?.message?.skip ? undefined : messageCheck(field.message, own, true);
      const isRequired = field.oneof === undefined && isRequiredBy(own);
      if (!value && !isRequired) return undefined;
      return (message) => {
        if (message === undefined) return isRequired ? [{ path: "", message: "value is required" }] : undefined;
        return value?.(message);
      };
    }
    default: {
      const rule = own && valueRule(own, field.fieldKind === "enum" ? field.enum : undefined);
      return rule && ((value) => (value === undefined ? undefined : outcome(rule, value)));
    }
  }
}

function isRequiredBy(own: FieldRules | undefined): boolean {
  return (
    own?.message?.required === true || (own?.type.value !== undefined && "required" in own.type.value && own.type.value.required === true)
  );
}

type ListField = Extract<DescField, { fieldKind: "list" }>;
type MapField = Extract<DescField, { fieldKind: "map" }>;
type RulesOf<C extends FieldRules["type"]["case"]> = Extract<FieldRules["type"], { case: C }>["value"] | undefined;

function listCheck(field: ListField, own: RulesOf<"repeated">): Check | undefined {
  const item = own?.items?.message?.skip
    ? undefined
    : elementCheck(field.message, field.listKind === "enum" ? field.enum : undefined, own?.items);
  const least = own && Object.hasOwn(own, "minItems") ? Number(own.minItems) : 0;
  const most = own && Object.hasOwn(own, "maxItems") ? Number(own.maxItems) : Number.POSITIVE_INFINITY;
  const isUnique = own?.unique === true;
  if (!item && least === 0 && most === Number.POSITIVE_INFINITY && !isUnique) return undefined;
  return (value) => {
    const list = value as readonly unknown[];
    if (list.length === 0 && own?.ignoreEmpty) return undefined;
    if (list.length < least) return [{ path: "", message: `value must contain at least ${least} item(s)` }];
    if (list.length > most) return [{ path: "", message: `value must contain no more than ${most} item(s)` }];
    if (isUnique && new Set(list).size !== list.length) return [{ path: "", message: "repeated value must contain unique items" }];
    if (!item) return undefined;
    let found: Violation[] | undefined;
    for (let i = 0; i < list.length; i++) {
      const more = item(list[i]);
      if (more) found = [...(found ?? []), ...under(`[${i}]`, more)!];
    }
    return found;
  };
}

function mapCheck(field: MapField, own: RulesOf<"map">): Check | undefined {
  const key = own?.keys && elementCheck(undefined, undefined, own.keys);
  const value = own?.values?.message?.skip ? undefined : elementCheck(field.message, undefined, own?.values);
  const least = own && Object.hasOwn(own, "minPairs") ? Number(own.minPairs) : 0;
  const most = own && Object.hasOwn(own, "maxPairs") ? Number(own.maxPairs) : Number.POSITIVE_INFINITY;
  if (!key && !value && least === 0 && most === Number.POSITIVE_INFINITY) return undefined;
  return (map) => {
    const keys = Object.keys(map as object);
    if (keys.length === 0 && own?.ignoreEmpty) return undefined;
    if (keys.length < least) return [{ path: "", message: `value must contain at least ${least} pair(s)` }];
    if (keys.length > most) return [{ path: "", message: `value must contain no more than ${most} pair(s)` }];
    let found: Violation[] | undefined;
    for (const each of keys) {
      const wrong = [...(key?.(each) ?? none), ...(value?.((map as Fields)[each]) ?? none)];
      if (wrong.length > 0) found = [...(found ?? []), ...under(`["${each}"]`, wrong)!];
    }
    return found;
  };
}

/** What is in a list or a map: wrappers are messages there, not plain values. */
function elementCheck(
  message: DescMessage | undefined,
  ofEnum: Parameters<typeof valueRule>[1],
  own: FieldRules | undefined,
): Check | undefined {
  if (message) return messageCheck(message, own, false);
  const rule = own && valueRule(own, ofEnum);
  return rule && ((value) => outcome(rule, value));
}

function messageCheck(message: DescMessage, own: FieldRules | undefined, isUnwrapped: boolean): Check | undefined {
  const rule = own && valueRule(own, undefined);
  switch (message.typeName) {
    case "google.protobuf.Any":
      return (value) => packed.get(value as object) ?? (rule ? outcome(rule, value) : undefined);
    case "google.protobuf.Duration":
      return (value) => outcome(durationFault, value) ?? (rule ? outcome(rule, value) : undefined);
    case "google.protobuf.Struct":
    case "google.protobuf.Value":
    case "google.protobuf.ListValue":
    case "google.protobuf.Empty":
      return undefined;
  }
  if (message.typeName.startsWith("google.protobuf.")) {
    if (!rule) return undefined;
    return isUnwrapped && isWrapper(message)
      ? (value) =>
          outcome(
            rule,
            typeof value === "object" && value !== null && "$typeName" in value ? (value as unknown as { value: unknown }).value : value,
          )
      : (value) => outcome(rule, isWrapper(message) ? (value as { value: unknown }).value : value);
  }
  // Looked up when it first runs: messages hold themselves.
  let nested: Check | undefined;
  return (value) => {
    nested ??= checkOf(message);
    return nested(value);
  };
}

function isWrapper({ typeName }: DescMessage): boolean {
  return typeName.endsWith("Value");
}

function outcome(rule: ValueRule, value: unknown): readonly Violation[] | undefined {
  const message = rule(value);
  return message === undefined ? undefined : [{ path: "", message }];
}

/** Findings of a part become findings of the whole. */
function under(name: string, found: readonly Violation[] | undefined): readonly Violation[] | undefined {
  return found?.map(({ path, message }) => ({ path: path === "" ? name : `${name}${path.startsWith("[") ? "" : "."}${path}`, message }));
}
