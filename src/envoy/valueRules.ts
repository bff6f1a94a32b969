// The rules of protoc-gen-validate about single values: numbers, texts, bytes, enums, durations. The wording is that of Envoy.
import type { DescEnum, Message } from "@bufbuild/protobuf";
import type { Any, Duration } from "@bufbuild/protobuf/wkt";
import { type FieldRules, KnownRegex } from "../gen/envoy/validate/validate_pb.js";
import { isIpAddress } from "../lib/ip.ts";

/** What is wrong with a value; undefined when all is well. */
export type ValueRule = (value: unknown) => string | undefined;

type RulesOf<C extends FieldRules["type"]["case"]> = NonNullable<Extract<FieldRules["type"], { case: C }>["value"]>;

/** The rule for a value; undefined where nothing is asked of it. */
export function valueRule({ type }: FieldRules, ofEnum: DescEnum | undefined): ValueRule | undefined {
  switch (type.case) {
    case "string":
      return stringRule(type.value);
    case "bytes":
      return bytesRule(type.value);
    case "enum":
      return enumRule(type.value, ofEnum);
    case "duration":
      return durationRule(type.value);
    case "any":
      return anyRule(type.value);
    case "bool":
      return Object.hasOwn(type.value, "const")
        ? (value) => (value === type.value.const ? undefined : `value must equal ${type.value.const}`)
        : undefined;
    case "float":
    case "double":
    case "int32":
    case "int64":
    case "uint32":
    case "uint64":
    case "sint32":
    case "sint64":
    case "fixed32":
    case "fixed64":
    case "sfixed32":
    case "sfixed64":
      return numberRule(type.value as unknown as NumberRules);
    default:
      return undefined;
  }
}

/** Rules are proto2: `lt: 0` that is written differs from none. */
function isWritten(rules: object, ...names: string[]): boolean {
  return names.some((name) => Object.hasOwn(rules, name));
}

interface NumberRules extends Message {
  readonly const: number | bigint;
  readonly lt: number | bigint;
  readonly lte: number | bigint;
  readonly gt: number | bigint;
  readonly gte: number | bigint;
  readonly in: readonly (number | bigint)[];
  readonly notIn: readonly (number | bigint)[];
  readonly ignoreEmpty: boolean;
}

function numberRule(of: NumberRules): ValueRule | undefined {
  const tests: ((n: number | bigint) => boolean)[] = [];
  const { const: only, lt, lte, gt, gte } = of;
  if (isWritten(of, "const")) tests.push((n) => n === only);
  const hasTop = isWritten(of, "lt", "lte");
  const hasBottom = isWritten(of, "gt", "gte");
  const isBelow = isWritten(of, "lt") ? (n: number | bigint) => n < lt : (n: number | bigint) => n <= lte;
  const isAbove = isWritten(of, "gt") ? (n: number | bigint) => n > gt : (n: number | bigint) => n >= gte;
  const top = isWritten(of, "lt") ? lt : lte;
  const bottom = isWritten(of, "gt") ? gt : gte;
  // A range whose ends are the wrong way round means: outside of it.
  if (hasTop && hasBottom) tests.push(top > bottom ? (n) => isBelow(n) && isAbove(n) : (n) => isBelow(n) || isAbove(n));
  else if (hasTop) tests.push(isBelow);
  else if (hasBottom) tests.push(isAbove);
  if (of.in.length > 0) tests.push((n) => of.in.includes(n));
  if (of.notIn.length > 0) tests.push((n) => !of.notIn.includes(n));
  if (tests.length === 0) return undefined;
  const message = numberText(of, hasTop, hasBottom);
  const skipsZero = of.ignoreEmpty;
  return (value) => {
    const n = value as number | bigint;
    if (skipsZero && (n === 0 || n === 0n)) return undefined;
    for (const test of tests) if (!test(n)) return message;
    return undefined;
  };
}

function numberText(of: NumberRules, hasTop: boolean, hasBottom: boolean): string {
  if (isWritten(of, "const")) return `value must equal ${of.const}`;
  const top = isWritten(of, "lt") ? `${of.lt})` : `${of.lte}]`;
  const bottom = isWritten(of, "gt") ? `(${of.gt}` : `[${of.gte}`;
  if (hasTop && hasBottom) return `value must be inside range ${bottom}, ${top}`;
  if (hasTop) return isWritten(of, "lt") ? `value must be less than ${of.lt}` : `value must be less than or equal to ${of.lte}`;
  if (hasBottom) return isWritten(of, "gt") ? `value must be greater than ${of.gt}` : `value must be greater than or equal to ${of.gte}`;
  return of.in.length > 0 ? `value must be in list [${of.in.join(" ")}]` : `value must not be in list [${of.notIn.join(" ")}]`;
}

function stringRule(of: RulesOf<"string">): ValueRule | undefined {
  const rules: ((text: string) => string | undefined)[] = [];
  const must = (isGood: (text: string) => boolean, message: string) => rules.push((text) => (isGood(text) ? undefined : message));
  const { const: only, in: allowed, notIn, pattern, prefix, suffix, contains, notContains, wellKnown } = of;
  const [least, most, leastBytes, mostBytes] = [of.minLen, of.maxLen, of.minBytes, of.maxBytes].map(Number) as [
    number,
    number,
    number,
    number,
  ];
  if (isWritten(of, "const")) must((text) => text === only, `value must equal ${only}`);
  // The quick test first: a text has at most as many runes as UTF-16 units.
  if (least > 0)
    must(
      (text) => (least === 1 ? text !== "" : text.length >= least && [...text].length >= least),
      least === 1 ? "value must not be empty" : `value length must be at least ${least} characters`,
    );
  if (isWritten(of, "maxLen"))
    must((text) => text.length <= most || [...text].length <= most, `value length must be at most ${most} characters`);
  if (isWritten(of, "len")) must((text) => [...text].length === Number(of.len), `value length must be ${of.len} characters`);
  if (leastBytes > 0)
    must((text) => text.length >= leastBytes || Buffer.byteLength(text) >= leastBytes, `value length must be at least ${leastBytes} bytes`);
  if (isWritten(of, "maxBytes")) must((text) => Buffer.byteLength(text) <= mostBytes, `value length must be at most ${mostBytes} bytes`);
  if (isWritten(of, "lenBytes"))
    must((text) => Buffer.byteLength(text) === Number(of.lenBytes), `value length must be ${of.lenBytes} bytes`);
  if (pattern !== "") {
    const expression = new RegExp(pattern, "u");
    must((text) => expression.test(text), `value does not match regex pattern ${JSON.stringify(pattern)}`);
  }
  if (prefix !== "") must((text) => text.startsWith(prefix), `value does not have prefix ${JSON.stringify(prefix)}`);
  if (suffix !== "") must((text) => text.endsWith(suffix), `value does not have suffix ${JSON.stringify(suffix)}`);
  if (contains !== "") must((text) => text.includes(contains), `value does not contain substring ${JSON.stringify(contains)}`);
  if (notContains !== "") must((text) => !text.includes(notContains), `value contains substring ${JSON.stringify(notContains)}`);
  if (allowed.length > 0) must((text) => allowed.includes(text), `value must be in list [${allowed.join(" ")}]`);
  if (notIn.length > 0) must((text) => !notIn.includes(text), `value must not be in list [${notIn.join(" ")}]`);
  if (wellKnown.case === "wellKnownRegex") {
    const { expression, message } = headerRule(wellKnown.value, !isWritten(of, "strict") || of.strict);
    must((text) => expression.test(text), message);
  } else if (wellKnown.case !== undefined && wellKnown.value) {
    const { isGood, message } = forms[wellKnown.case];
    must(isGood, message);
  }
  if (rules.length === 0) return undefined;
  const skipsEmpty = of.ignoreEmpty;
  return (value) => {
    const text = value as string;
    if (skipsEmpty && text === "") return undefined;
    for (const rule of rules) {
      const message = rule(text);
      if (message !== undefined) return message;
    }
    return undefined;
  };
}

/** Header names and values, as protoc-gen-validate has them; an empty one passes, whether it may be is `min_len`'s to say. */
function headerRule(kind: KnownRegex, isStrict: boolean): { readonly expression: RegExp; readonly message: string } {
  // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what the rule is about
  if (!isStrict) return { expression: /^[^\u0000\u000A\u000D]*$/, message: "value holds NUL or a line break" };
  return kind === KnownRegex.HTTP_HEADER_NAME
    ? { expression: /^$|^:?[0-9a-zA-Z!#$%&'*+\-.^_|~`]+$/, message: "value is not a header name" }
    : // biome-ignore lint/suspicious/noControlCharactersInRegex: these are what the rule is about
      { expression: /^[^\u0000-\u0008\u000A-\u001F\u007F]*$/, message: "value holds a control character" };
}

type Form = { readonly isGood: (text: string) => boolean; readonly message: string };

const hostname = /^(?=.{1,253}$)([0-9a-zA-Z]([0-9a-zA-Z-]{0,61}[0-9a-zA-Z])?\.)*[0-9a-zA-Z]([0-9a-zA-Z-]{0,61}[0-9a-zA-Z])?\.?$/;

const forms: Record<"email" | "hostname" | "ip" | "ipv4" | "ipv6" | "uri" | "uriRef" | "address" | "uuid", Form> = {
  email: { isGood: (text) => /^[^@\s]+@[^@\s]+$/.test(text), message: "value must be a valid email address" },
  hostname: { isGood: (text) => hostname.test(text), message: "value must be a valid hostname" },
  ip: { isGood: isIpAddress, message: "value must be a valid IP address" },
  ipv4: { isGood: (text) => isIpAddress(text) && !text.includes(":"), message: "value must be a valid IPv4 address" },
  ipv6: { isGood: (text) => isIpAddress(text) && text.includes(":"), message: "value must be a valid IPv6 address" },
  uri: { isGood: (text) => URL.canParse(text), message: "value must be absolute" },
  uriRef: { isGood: (text) => URL.canParse(text, "http://x"), message: "value must be a valid URI" },
  address: { isGood: (text) => isIpAddress(text) || hostname.test(text), message: "value must be a valid hostname, or ip address" },
  uuid: {
    isGood: (text) => /^[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}$/.test(text),
    message: "value must be a valid UUID",
  },
};

function bytesRule(of: RulesOf<"bytes">): ValueRule | undefined {
  const least = Number(of.minLen);
  const most = isWritten(of, "maxLen") ? Number(of.maxLen) : Number.POSITIVE_INFINITY;
  if (least === 0 && most === Number.POSITIVE_INFINITY) return undefined;
  return (value) => {
    const { length } = value as Uint8Array;
    if (of.ignoreEmpty && length === 0) return undefined;
    if (length < least) return `value length must be at least ${least} bytes`;
    return length > most ? `value length must be at most ${most} bytes` : undefined;
  };
}

function enumRule(of: RulesOf<"enum">, ofEnum: DescEnum | undefined): ValueRule | undefined {
  const defined = of.definedOnly && ofEnum ? ofEnum.value : undefined;
  const hasConst = isWritten(of, "const");
  if (!defined && !hasConst && of.in.length === 0 && of.notIn.length === 0) return undefined;
  return (value) => {
    const n = value as number;
    if (defined && !defined[n]) return "value must be one of the defined enum values";
    if (hasConst && n !== of.const) return `value must equal ${of.const}`;
    if ((of.in.length > 0 && !of.in.includes(n)) || of.notIn.includes(n)) return "value is not one of those allowed";
    return undefined;
  };
}

function anyRule(of: RulesOf<"any">): ValueRule | undefined {
  if (of.in.length === 0 && of.notIn.length === 0) return undefined;
  return (value) => {
    const { typeUrl } = value as Any;
    return (of.in.length > 0 && !of.in.includes(typeUrl)) || of.notIn.includes(typeUrl)
      ? "type URL is not one of those allowed"
      : undefined;
  };
}

function durationRule(of: RulesOf<"duration">): ValueRule | undefined {
  const { const: only, lt, lte, gt, gte } = of;
  if (!only && !lt && !lte && !gt && !gte) return undefined;
  return (value) => {
    const n = nanosOf(value as Duration);
    if (only && n !== nanosOf(only)) return `value must equal ${shown(only)}`;
    if (gt && n <= nanosOf(gt)) return `value must be greater than ${shown(gt)}`;
    if (gte && n < nanosOf(gte)) return `value must be greater than or equal to ${shown(gte)}`;
    if (lt && n >= nanosOf(lt)) return `value must be less than ${shown(lt)}`;
    if (lte && n > nanosOf(lte)) return `value must be less than or equal to ${shown(lte)}`;
    return undefined;
  };
}

/** No rule of a field: Envoy converts durations to milliseconds, and throws for those that are negative or do not fit. */
export function durationFault(value: unknown): string | undefined {
  const { seconds, nanos } = value as Duration;
  if (seconds < 0n || nanos < 0) return "value must not be negative";
  return nanos > 999_999_999 || seconds > 9_223_372_035n ? "value is too long" : undefined;
}

function nanosOf({ seconds, nanos }: Duration): bigint {
  return seconds * 1_000_000_000n + BigInt(nanos);
}

function shown(duration: Duration): string {
  return `${Number(nanosOf(duration)) / 1e9}s`;
}
