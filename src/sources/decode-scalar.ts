// Single values: text, numbers, booleans, bytes, enums.
import { type DescEnum, ScalarType } from "@bufbuild/protobuf";
import { closestAlone } from "../lib/closest.ts";
import { describe } from "./describe.ts";
import type { Reader } from "./reader.ts";
import type { MapEntry, ScalarNode, YamlNode } from "./yaml-node.ts";
import { resolvePlain, resolveScalar, type Scalar } from "./yaml-scalar.ts";

/** A scalar of a protobuf type; undefined when the node is wrong. Without a node: the zero of the type. */
export function decodeScalar(type: ScalarType, node: YamlNode | undefined, reader: Reader): unknown {
  switch (type) {
    case ScalarType.STRING:
      return node === undefined ? "" : decodeText(node, reader);
    case ScalarType.BOOL:
      return node === undefined ? false : decodeBoolean(node, reader);
    case ScalarType.BYTES:
      return node === undefined ? new Uint8Array() : decodeBytes(node, reader);
    case ScalarType.FLOAT:
    case ScalarType.DOUBLE:
      return node === undefined ? 0 : decodeFloat(type, node, reader);
    case ScalarType.INT64:
    case ScalarType.SINT64:
    case ScalarType.SFIXED64:
    case ScalarType.UINT64:
    case ScalarType.FIXED64:
      return node === undefined ? 0n : decodeInteger(type, node, reader);
    default: {
      const value = node === undefined ? 0n : decodeInteger(type, node, reader);
      return value === undefined ? undefined : Number(value);
    }
  }
}

export function decodeText(node: YamlNode, reader: Reader): string | undefined {
  if (node.kind !== "scalar") return wrongType(reader, "text", node);
  if (node.isPlain) {
    const scalar = resolvePlain(node.text);
    if (scalar.kind === "null") return "";
    if (scalar.kind !== "text") {
      const hint = `quote it: "${node.text}"`;
      // `50494e47` is a number in YAML 1.2 and text in 1.1, which wants a point in it.
      const isText11 = scalar.kind === "float" && /^[0-9]+[eE][0-9]+$/.test(node.text);
      if (!scalar.isLegacy && !isText11) return wrongType(reader, "text", node, hint);
      warnAmbiguous(reader, node, `the text "${node.text}"`, `YAML ${isText11 ? "1.2" : "1.1"} reads ${printed(scalar)}`, hint);
    }
  }
  if (!node.text.isWellFormed()) {
    reader.error("BadText", "the text holds half of a surrogate pair", node);
    return undefined;
  }
  return node.text;
}

function decodeBoolean(node: YamlNode, reader: Reader): boolean | undefined {
  const scalar = node.kind === "scalar" ? resolveScalar(node) : undefined;
  if (scalar?.kind === "boolean") {
    if (scalar.isLegacy) warnAmbiguous(reader, node as ScalarNode, String(scalar.value), "YAML 1.2 reads text", `write ${scalar.value}`);
    return scalar.value;
  }
  const word = node.kind === "scalar" && /^(true|false)$/i.test(node.text) ? node.text.toLowerCase() : undefined;
  return wrongType(reader, "true or false", node, word ? `write it without quotes: ${word}` : undefined);
}

function decodeBytes(node: YamlNode, reader: Reader): Uint8Array | undefined {
  const text = node.kind === "scalar" ? node.text.replaceAll(/\s/g, "") : undefined;
  if (text === undefined) return wrongType(reader, "base64 text", node);
  const body = text.replace(/=+$/, "");
  if (!/^[A-Za-z0-9+/_-]*$/.test(body) || body.length % 4 === 1) {
    reader.error("BadBase64", `not base64: ${describe(node)}`, node, "encode the bytes: base64 -w0 FILE");
    return undefined;
  }
  // A copy: Buffer's own memory is a slice of a shared pool.
  return new Uint8Array(Buffer.from(body, "base64"));
}

const ranges: Partial<Record<ScalarType, readonly [min: bigint, max: bigint]>> = {
  [ScalarType.INT32]: [-(2n ** 31n), 2n ** 31n - 1n],
  [ScalarType.SINT32]: [-(2n ** 31n), 2n ** 31n - 1n],
  [ScalarType.SFIXED32]: [-(2n ** 31n), 2n ** 31n - 1n],
  [ScalarType.UINT32]: [0n, 2n ** 32n - 1n],
  [ScalarType.FIXED32]: [0n, 2n ** 32n - 1n],
  [ScalarType.INT64]: [-(2n ** 63n), 2n ** 63n - 1n],
  [ScalarType.SINT64]: [-(2n ** 63n), 2n ** 63n - 1n],
  [ScalarType.SFIXED64]: [-(2n ** 63n), 2n ** 63n - 1n],
  [ScalarType.UINT64]: [0n, 2n ** 64n - 1n],
  [ScalarType.FIXED64]: [0n, 2n ** 64n - 1n],
};

function decodeInteger(type: ScalarType, node: YamlNode, reader: Reader): bigint | undefined {
  if (node.kind !== "scalar") return wrongType(reader, "a whole number", node);
  const scalar = node.isPlain ? resolvePlain(node.text) : numberInQuotes(node.text);
  const value = wholeNumber(scalar);
  if (value === undefined) {
    if (scalar.kind === "float" && node.isPlain) {
      reader.error("NumberOutOfRange", `a whole number is wanted; this is ${node.text}`, node);
      return undefined;
    }
    return wrongType(reader, "a whole number", node);
  }
  const [min, max] = ranges[type]!;
  if (value < min || value > max) {
    reader.error("NumberOutOfRange", `${node.text} is out of range: a whole number from ${min} to ${max} is wanted`, node);
    return undefined;
  }
  const is64 = max > 2n ** 32n;
  if (!node.isPlain && !(is64 && scalar.kind === "integer")) looseNumber(reader, node, value);
  else if (scalar.kind === "float") looseNumber(reader, node, value);
  else if (scalar.kind === "integer" && scalar.isLegacy)
    warnAmbiguous(reader, node, String(value), "YAML 1.2 reads another value", `write ${value}`);
  return value;
}

function wholeNumber(scalar: Scalar): bigint | undefined {
  if (scalar.kind === "integer") return scalar.value;
  if (scalar.kind === "float" && Number.isInteger(scalar.value)) return BigInt(scalar.value);
  return undefined;
}

/** JSON numbers only: in quotes, YAML's other forms are text. */
function numberInQuotes(text: string): Scalar {
  if (!/^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$/.test(text)) return { kind: "text", value: text };
  return resolvePlain(text);
}

function decodeFloat(type: ScalarType, node: YamlNode, reader: Reader): number | undefined {
  if (node.kind !== "scalar") return wrongType(reader, "a number", node);
  if (!node.isPlain && (node.text === "NaN" || node.text === "Infinity" || node.text === "-Infinity")) return Number(node.text);
  const scalar = node.isPlain ? resolvePlain(node.text) : numberInQuotes(node.text);
  if (scalar.kind !== "integer" && scalar.kind !== "float") return wrongType(reader, "a number", node);
  const value = Number(scalar.value);
  const most = type === ScalarType.FLOAT ? 3.4028234663852886e38 : Number.MAX_VALUE;
  if (!(Math.abs(value) <= most)) {
    reader.error("NumberOutOfRange", `${node.text} is out of range for this field`, node);
    return undefined;
  }
  if (!node.isPlain) looseNumber(reader, node, value);
  else if (scalar.isLegacy) warnAmbiguous(reader, node, String(value), "YAML 1.2 reads another value", `write ${value}`);
  return value;
}

export function decodeEnum(desc: DescEnum, node: YamlNode, reader: Reader): number | undefined {
  if (node.kind !== "scalar") return wrongType(reader, `one of ${names(desc)}`, node);
  const named = desc.values.find((value) => value.name === node.text);
  if (named) return named.number;
  const scalar = resolveScalar(node);
  if (scalar.kind === "integer" && scalar.value >= -(2n ** 31n) && scalar.value < 2n ** 31n) {
    const number = Number(scalar.value);
    const value = desc.value[number];
    const message = value ? `${number} is read as ${value.name}` : `${number} is kept, though no value has this number`;
    const status = desc.values.find(({ name }) => name === redirects[number]);
    const meant = value ?? status;
    reader.warn("EnumByNumber", message, node, meant ? `write ${meant.name}` : `the values are ${names(desc)}`);
    return number;
  }
  const near = closestAlone(
    node.text,
    desc.values.map((value) => value.name),
  );
  const hint = near ? `did you mean ${near}?` : `one of ${names(desc)}`;
  const list = near && desc.values.length <= 12 ? `; the values are ${names(desc)}` : "";
  reader.error("UnknownEnumValue", `"${node.text}" is not a value of this field${list}`, node, hint);
  return undefined;
}

function names(desc: DescEnum): string {
  const all = desc.values.map((value) => value.name);
  return all.length > 12 ? `${all.slice(0, 12).join(", ")}, …` : all.join(", ");
}

/** A key of a map field, as the property name that protobuf-es keeps it under. */
export function decodeMapKey(type: ScalarType, entry: MapEntry, reader: Reader): string | undefined {
  const node: ScalarNode = { kind: "scalar", text: entry.key, isPlain: entry.isPlain, start: entry.keyStart, end: entry.keyEnd };
  if (type === ScalarType.STRING) {
    if (entry.isPlain) {
      const scalar = resolvePlain(entry.key);
      if ((scalar.kind === "boolean" || scalar.kind === "integer" || scalar.kind === "float") && scalar.isLegacy) {
        warnAmbiguous(reader, node, `the key "${entry.key}"`, `YAML 1.1 reads ${printed(scalar)}`, `quote it: "${entry.key}"`);
      }
    }
    if (entry.key.isWellFormed()) return entry.key;
    reader.error("BadText", "the key holds half of a surrogate pair", node);
    return undefined;
  }
  const value = decodeScalar(type, { ...node, isPlain: true }, reader);
  return value === undefined ? undefined : String(value);
}

function printed(scalar: Scalar): string {
  switch (scalar.kind) {
    case "boolean":
      return `the boolean ${scalar.value}`;
    case "integer":
    case "float":
      return `the number ${scalar.value}`;
    default:
      return scalar.kind;
  }
}

function warnAmbiguous(reader: Reader, node: ScalarNode, understood: string, otherwise: string, hint: string): void {
  reader.warn("AmbiguousScalar", `${node.text} is read as ${understood}; ${otherwise}`, node, hint);
}

function looseNumber(reader: Reader, node: ScalarNode, value: bigint | number): void {
  const written = node.isPlain ? node.text : `"${node.text}"`;
  reader.warn("LooseNumber", `${written} is read as the number ${value}`, node, `write ${value}`);
}

export function wrongType(reader: Reader, wanted: string, node: YamlNode, hint?: string): undefined {
  const name = reader.path.findLast((each) => typeof each === "string");
  reader.error("WrongType", `${name === undefined ? "this" : `"${name}"`} takes ${wanted}, not ${describe(node)}`, node, hint);
}

/** Names that people know as numbers. */
const redirects: Readonly<Record<number, string>> = {
  301: "MOVED_PERMANENTLY",
  302: "FOUND",
  303: "SEE_OTHER",
  307: "TEMPORARY_REDIRECT",
  308: "PERMANENT_REDIRECT",
};
