// Random messages of the API in proto-JSON, for fast-check: made from their descriptors, so that a field which comes to the API is
// tried without anybody thinking of it. What a field means is said beside it: `rules` has values for single fields and for messages.
import { type DescEnum, type DescField, type DescMessage, type JsonObject, type JsonValue, ScalarType } from "@bufbuild/protobuf";
import fc from "fast-check";

type Values = fc.Arbitrary<JsonValue>;

export interface Rules {
  /** By `package.Message.field` or `package.Message`, the field before the message; names as in the descriptors. */
  readonly values: Readonly<Record<string, Values>>;
  /** Fields that are always there, and oneofs of which a case is always chosen. */
  readonly required: ReadonlySet<string>;
  /** Fields that are never there. */
  readonly left: ReadonlySet<string>;
  /** Of 100: how often any other field is there, on top and further in. Single fields by name. */
  readonly share: number;
  readonly innerShare: number;
  readonly shares: Readonly<Record<string, number>>;
  /** For fields without values of their own. */
  readonly text: fc.Arbitrary<string>;
  readonly number: fc.Arbitrary<number>;
  readonly real: fc.Arbitrary<number>;
  readonly duration: fc.Arbitrary<string>;
}

const deepest = 9;

/** `depth`: messages inside of messages; what is deeper is left out. */
export function randomMessage(message: DescMessage, rules: Rules, depth = deepest): fc.Arbitrary<JsonObject> {
  const share = depth === deepest ? rules.share : rules.innerShare;
  const parts: fc.Arbitrary<JsonObject>[] = [];
  for (const field of message.fields) {
    if (field.oneof === undefined && isUsed(field, rules, depth)) parts.push(part(field, rules, depth, share));
  }
  for (const oneof of message.oneofs) {
    const cases = oneof.fields.filter((field) => isUsed(field, rules, depth));
    if (cases.length === 0) continue;
    const chosen = fc.oneof(
      ...cases.map((field) => ({
        weight: rules.shares[nameOf(field)] ?? share,
        arbitrary: randomValue(field, rules, depth).map((value) => ({ [field.jsonName]: value })),
      })),
    );
    parts.push(rules.required.has(`${message.typeName}.${oneof.name}`) ? chosen : sometimes(chosen, share));
  }
  return fc.tuple(...parts).map((all) => Object.assign({}, ...all) as JsonObject);
}

/** The names of the fields that a message has, and those inside of it. */
export function* fieldsIn(message: DescMessage, json: JsonObject): Generator<string> {
  for (const field of message.fields) {
    const value = json[field.jsonName];
    if (value === undefined || value === null) continue;
    yield nameOf(field);
    const inner = messageOf(field);
    if (inner === undefined || isWellKnown(inner)) continue;
    const all = field.fieldKind === "list" ? (value as JsonObject[]) : field.fieldKind === "map" ? Object.values(value) : [value];
    for (const each of all) yield* fieldsIn(inner, each as JsonObject);
  }
}

/** The names of all fields that a message can have, and those inside of it. */
export function fieldsOf(message: DescMessage, rules: Rules, names = new Set<string>(), seen = new Set<string>()): Set<string> {
  if (seen.has(message.typeName)) return names;
  seen.add(message.typeName);
  for (const field of message.fields) {
    if (rules.left.has(nameOf(field))) continue;
    names.add(nameOf(field));
    const inner = messageOf(field);
    if (inner && !isWellKnown(inner)) fieldsOf(inner, rules, names, seen);
  }
  return names;
}

function nameOf(field: DescField): string {
  return `${field.parent.typeName}.${field.name}`;
}

function messageOf(field: DescField): DescMessage | undefined {
  return field.fieldKind === "message" || field.fieldKind === "list" || field.fieldKind === "map" ? field.message : undefined;
}

function isWellKnown({ typeName }: DescMessage): boolean {
  return typeName.startsWith("google.protobuf.");
}

function isUsed(field: DescField, rules: Rules, depth: number): boolean {
  if (rules.left.has(nameOf(field))) return false;
  const inner = messageOf(field);
  return inner === undefined || depth > 0 || isWellKnown(inner);
}

function part(field: DescField, rules: Rules, depth: number, share: number): fc.Arbitrary<JsonObject> {
  const name = nameOf(field);
  const there = randomValue(field, rules, depth).map((value) => ({ [field.jsonName]: value }));
  return rules.required.has(name) ? there : sometimes(there, rules.shares[name] ?? share);
}

function sometimes(there: fc.Arbitrary<JsonObject>, share: number): fc.Arbitrary<JsonObject> {
  return fc.oneof({ weight: share, arbitrary: there }, { weight: 100 - share, arbitrary: fc.constant({}) });
}

function randomValue(field: DescField, rules: Rules, depth: number): Values {
  const own = rules.values[nameOf(field)];
  if (own) return own;
  switch (field.fieldKind) {
    case "scalar":
      return scalar(field.scalar, rules);
    case "enum":
      return enumName(field.enum);
    case "message":
      return inner(field.message, rules, depth);
    case "list": {
      const element =
        field.listKind === "message"
          ? inner(field.message, rules, depth)
          : field.listKind === "enum"
            ? enumName(field.enum)
            : scalar(field.scalar, rules);
      return fc.array(element, { minLength: rules.required.has(nameOf(field)) ? 1 : 0, maxLength: 2 }) as Values;
    }
    case "map": {
      const value =
        field.mapKind === "message"
          ? inner(field.message, rules, depth)
          : field.mapKind === "enum"
            ? enumName(field.enum)
            : scalar(field.scalar, rules);
      return fc.dictionary(fc.constantFrom("a", "b", "c.test/d"), value, { maxKeys: 2 }) as Values;
    }
  }
}

function inner(message: DescMessage, rules: Rules, depth: number): Values {
  const own = rules.values[message.typeName];
  if (own) return own;
  switch (message.typeName) {
    case "google.protobuf.Duration":
      return rules.duration;
    case "google.protobuf.Empty":
      return fc.constant({});
    case "google.protobuf.Struct":
      return fc.constantFrom<JsonObject>({}, { a: "b" }, { n: 1, deep: { list: [true, null] } });
    case "google.protobuf.Any":
      return fc.constant({ "@type": "type.googleapis.com/google.protobuf.Empty", value: {} });
  }
  if (isWellKnown(message) && message.typeName.endsWith("Value")) {
    const [wrapped] = message.fields;
    if (wrapped?.fieldKind === "scalar") return scalar(wrapped.scalar, rules);
  }
  return randomMessage(message, rules, depth - 1);
}

function enumName({ values }: DescEnum): Values {
  return fc.constantFrom(...values.map(({ name }) => name));
}

function scalar(type: ScalarType, { text, number, real }: Rules): Values {
  switch (type) {
    case ScalarType.BOOL:
      return fc.boolean();
    case ScalarType.STRING:
      return text;
    case ScalarType.BYTES:
      return fc.constantFrom("", "AAEC");
    case ScalarType.DOUBLE:
    case ScalarType.FLOAT:
      return real;
    default:
      return number;
  }
}
