// What a plain scalar means. Gloo and kubectl read YAML through sigs.k8s.io/yaml, whose words and numbers are those of YAML 1.1
// with 1.2's octals added (https://github.com/kubernetes-sigs/yaml, goyaml.v2/resolve.go). We take the same sense, and say so
// where YAML 1.2 would have another.
import type { ScalarNode } from "./yaml-node.ts";

export type Scalar =
  | { readonly kind: "null" }
  | { readonly kind: "text"; readonly value: string }
  | { readonly kind: "boolean"; readonly value: boolean; readonly isLegacy: boolean }
  | { readonly kind: "integer"; readonly value: bigint; readonly isLegacy: boolean }
  | { readonly kind: "float"; readonly value: number; readonly isLegacy: boolean };

const nullScalar: Scalar = { kind: "null" };
const words = new Map<string, Scalar>();
for (const each of ["", "~", "null", "Null", "NULL"]) words.set(each, nullScalar);
for (const each of ["true", "True", "TRUE"]) words.set(each, { kind: "boolean", value: true, isLegacy: false });
for (const each of ["false", "False", "FALSE"]) words.set(each, { kind: "boolean", value: false, isLegacy: false });
for (const each of ["y", "Y", "yes", "Yes", "YES", "on", "On", "ON"]) words.set(each, { kind: "boolean", value: true, isLegacy: true });
for (const each of ["n", "N", "no", "No", "NO", "off", "Off", "OFF"]) words.set(each, { kind: "boolean", value: false, isLegacy: true });
for (const each of [".inf", ".Inf", ".INF", "+.inf", "+.Inf", "+.INF"])
  words.set(each, { kind: "float", value: Number.POSITIVE_INFINITY, isLegacy: false });
for (const each of ["-.inf", "-.Inf", "-.INF"]) words.set(each, { kind: "float", value: Number.NEGATIVE_INFINITY, isLegacy: false });
for (const each of [".nan", ".NaN", ".NAN"]) words.set(each, { kind: "float", value: Number.NaN, isLegacy: false });

const decimal = /^[-+]?(0|[1-9][0-9]*)$/;
const decimalFloat = /^[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?$/;
const based = /^([-+]?)0([xXoObB]?)([0-9a-fA-F]+)$/;

/** The sense of a scalar. */
export function resolveScalar(node: ScalarNode): Scalar {
  if (!node.isPlain) return { kind: "text", value: node.text };
  return resolvePlain(node.text);
}

export function resolvePlain(text: string): Scalar {
  const word = words.get(text);
  if (word) return word;
  const first = text.charCodeAt(0);
  const couldBeNumber = (first >= 48 && first <= 57) || first === 43 || first === 45 || first === 46;
  if (!couldBeNumber) return { kind: "text", value: text };
  if (decimal.test(text)) return { kind: "integer", value: BigInt(text.startsWith("+") ? text.slice(1) : text), isLegacy: false };
  const digits = text.replaceAll("_", "");
  const hadUnderscores = digits.length !== text.length;
  if (hadUnderscores && decimal.test(digits)) return { kind: "integer", value: BigInt(digits.replace("+", "")), isLegacy: true };
  const integer = basedInteger(digits);
  // YAML 1.2 knows 0x1f and 0o17 itself; 017, 0b1 and signs before them are of 1.1.
  if (integer !== undefined) return { kind: "integer", value: integer, isLegacy: hadUnderscores || !/^0[xo]/.test(digits) };
  if (decimalFloat.test(digits)) return { kind: "float", value: Number(digits), isLegacy: hadUnderscores };
  return { kind: "text", value: text };
}

function basedInteger(digits: string): bigint | undefined {
  const match = based.exec(digits);
  if (!match) return undefined;
  const [, sign, prefix, rest] = match as unknown as [string, string, string, string];
  const base = { x: 16, o: 8, b: 2, "": 8 }[prefix.toLowerCase()]!;
  const allowed = { 16: /^[0-9a-fA-F]+$/, 8: /^[0-7]+$/, 2: /^[01]+$/ }[base]!;
  if (!allowed.test(rest)) return undefined;
  const value = BigInt(`${{ 16: "0x", 8: "0o", 2: "0b" }[base]}${rest}`);
  return sign === "-" ? -value : value;
}
