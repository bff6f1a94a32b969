// What may leave the process: the admin API shows everything except secrets.
//
// Three nets, because one is never enough: fields are blanked by type (Envoy marks its own as sensitive; ours are listed below),
// a Secret shows nothing but its shape, and what a Secret holds is blanked wherever else it turns up, as in a header that
// `headerSecretRef` filled. There is no way to ask for the values.
import { type DescField, type DescMessage, getOption, hasOption, type JsonObject, type JsonValue, type Registry } from "@bufbuild/protobuf";
import { sensitive } from "../gen/envoy/udpa/annotations/sensitive_pb.js";
import type { Resource } from "../model/resource.ts";

export const redacted = "[redacted]";

/** Gloo's API marks nothing. These are the names its messages give to text that is a credential (a reference to a Secret is not). */
const credentialFields =
  /^(password|token|access_token|access_key|access_key_id|secret_key|secret_access_key|session_token|client_secret|private_key|api_key|salt|hashed_password)$/;

/** Where Envoy forgot its own mark. */
const unmarkedByEnvoy: Readonly<Record<string, readonly string[]>> = {
  "envoy.extensions.filters.http.aws_lambda.v3.Credentials": ["secret_access_key", "session_token"],
};

/** Annotations that repeat the whole object, secrets and all. */
const repeatingAnnotations = new Set(["kubectl.kubernetes.io/last-applied-configuration"]);

/** The values of Secrets, so that they can be recognised elsewhere. */
export class SecretValues {
  #values: readonly string[];

  constructor(resources: Iterable<Resource>) {
    const found = new Set<string>();
    for (const resource of resources) if (resource.kind === "Secret" && resource.spec) collectStrings(resource.spec, found);
    // Longest first, so that a value within another does not leave the rest of it standing.
    this.#values = [...found].sort((a, b) => b.length - a.length);
  }

  /** The text without any of the values. */
  scrub(text: string): string {
    return this.#values.reduce((rest, value) => (rest.includes(value) ? rest.replaceAll(value, redacted) : rest), text);
  }
}

/** A message in JSON with its secrets blanked. `json` is what `toJson(schema, …)` gave; it is not changed. */
export function redactMessage(schema: DescMessage, json: JsonValue, secrets: SecretValues, registry?: Registry): JsonValue {
  if (schema.typeName === "gloo.solo.io.Secret") return blank(json);
  if (schema.typeName === "google.protobuf.Any") return redactAny(json, secrets, registry);
  if (!isObject(json)) return scrubValue(json, secrets);
  const byName = new Map(schema.fields.map((field) => [field.jsonName, field]));
  return Object.fromEntries(
    Object.entries(json).map(([key, value]) => {
      const field = byName.get(key);
      if (field === undefined) return [key, scrubValue(value, secrets)];
      return [key, isSensitive(field) ? blank(value) : redactField(field, value, secrets, registry)];
    }),
  );
}

/** Annotations without those that repeat the object. */
export function redactAnnotations(annotations: Readonly<Record<string, string>>, secrets: SecretValues): Record<string, string> {
  return Object.fromEntries(
    Object.entries(annotations).map(([name, value]) => [name, repeatingAnnotations.has(name) ? redacted : secrets.scrub(value)]),
  );
}

function redactField(field: DescField, value: JsonValue, secrets: SecretValues, registry: Registry | undefined): JsonValue {
  const each = (schema: DescMessage | undefined) => (item: JsonValue) =>
    schema ? redactMessage(schema, item, secrets, registry) : scrubValue(item, secrets);
  if (field.fieldKind === "list" && Array.isArray(value)) return value.map(each(field.message));
  if (field.fieldKind === "map" && isObject(value)) {
    const one = each(field.message);
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, one(item)]));
  }
  return each(field.message)(value);
}

function redactAny(json: JsonValue, secrets: SecretValues, registry: Registry | undefined): JsonValue {
  if (!isObject(json) || typeof json["@type"] !== "string") return scrubValue(json, secrets);
  const { "@type": typeUrl, ...rest } = json;
  const schema = registry?.getMessage(String(typeUrl).split("/").at(-1) ?? "");
  const inner = schema ? redactMessage(schema, rest, secrets, registry) : scrubValue(rest, secrets);
  return { "@type": typeUrl as string, ...(inner as JsonObject) };
}

function isSensitive(field: DescField): boolean {
  if (hasOption(field, sensitive) && getOption(field, sensitive)) return true;
  const message = field.parent.typeName;
  if (unmarkedByEnvoy[message]?.includes(field.name)) return true;
  const isOurs = message.includes("solo.io.") || message.startsWith("envoy.config.filter.http.aws_lambda.v2.");
  return isOurs && field.fieldKind === "scalar" && credentialFields.test(field.name);
}

/** The shape of a value without its text: one can see that a key is there, and nothing of it. */
function blank(value: JsonValue): JsonValue {
  if (Array.isArray(value)) return value.map(blank);
  if (isObject(value)) return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, blank(item)]));
  return value === null || typeof value === "boolean" ? value : redacted;
}

function scrubValue(value: JsonValue, secrets: SecretValues): JsonValue {
  if (typeof value === "string") return secrets.scrub(value);
  if (Array.isArray(value)) return value.map((item) => scrubValue(item, secrets));
  if (isObject(value)) return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, scrubValue(item, secrets)]));
  return value;
}

/** Parts of a Secret that anybody may know; blanking them elsewhere would only make pages harder to read. */
const publicParts = new Set(["$typeName", "case", "certChain", "rootCa", "ocspStaple", "username"]);

/** Shorter texts are no secrets (a header's name, `true`), and blanking them would blank half of every page. */
const shortestSecret = 6;

function collectStrings(value: unknown, into: Set<string>): void {
  if (typeof value === "string") {
    if (value.length >= shortestSecret) into.add(value);
  } else if (value instanceof Uint8Array) {
    const text = Buffer.from(value);
    collectStrings(text.toString("utf8"), into);
    collectStrings(text.toString("base64"), into);
  } else if (typeof value === "object" && value !== null) {
    for (const [key, item] of Object.entries(value)) if (!publicParts.has(key)) collectStrings(item, into);
  }
}

function isObject(value: JsonValue): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
