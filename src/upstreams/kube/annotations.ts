// Annotations of a Service that say what its Upstreams shall be like: TLS, HTTP/2, or anything by `upstream_config`.
import { clone, fromJson, type JsonObject, type JsonValue, toJson } from "@bufbuild/protobuf";
import { type ReflectMessage, reflect } from "@bufbuild/protobuf/reflect";
import { type Upstream, UpstreamSchema } from "../../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";

export type Annotations = Readonly<Record<string, string>>;

/** `true` and `false` where the Service says so itself. */
export function http2Wish(annotations: Annotations): boolean | undefined {
  const said = annotations["gloo.solo.io/h2_service"];
  return said === "true" || said === "false" ? said === "true" : undefined;
}

/** The Upstream with the TLS of the annotations. */
export function withTls(upstream: Upstream, annotations: Annotations, namespace: string, port: number): Upstream {
  const ssl = sslConfig(annotations, namespace, port);
  if (ssl === undefined) return upstream;
  return fromJson(UpstreamSchema, { ...(toJson(UpstreamSchema, upstream) as JsonObject), sslConfig: ssl });
}

/** The Upstream with what `upstream_config` says; `fault` says why that is left out. */
export function configured(upstream: Upstream, annotations: Annotations): { readonly upstream: Upstream; readonly fault?: string } {
  const text = annotations["gloo.solo.io/upstream_config"];
  if (text === undefined) return { upstream };
  try {
    const written: JsonValue = JSON.parse(text);
    if (!isObject(written)) throw new Error("it is not an object");
    // What discovery needs to know its own by is not for others to say.
    const { metadata: _, discoveryMetadata: __, discovery_metadata: ___, ...wanted } = written;
    const isDeep = annotations["gloo.solo.io/upstream_config.deep_merge"] === "true";
    const made = clone(UpstreamSchema, upstream);
    overlay(reflect(UpstreamSchema, made), reflect(UpstreamSchema, fromJson(UpstreamSchema, wanted)), isDeep);
    return { upstream: made };
  } catch (error) {
    return { upstream, fault: error instanceof Error ? error.message : String(error) };
  }
}

/** Fields that `over` has replace those of `base`, one of a choice the other; `isDeep`: messages and maps in both are put together. */
function overlay(base: ReflectMessage, over: ReflectMessage, isDeep: boolean): void {
  for (const field of over.fields) {
    if (!over.isSet(field)) continue;
    const isInBoth = isDeep && base.isSet(field);
    if (isInBoth && field.fieldKind === "message" && !field.message.typeName.startsWith("google.protobuf.")) {
      overlay(base.get(field), over.get(field), isDeep);
    } else if (isInBoth && field.fieldKind === "map") {
      for (const [key, value] of over.get(field)) base.get(field).set(key, value);
    } else {
      base.set(field, over.get(field));
    }
  }
}

/** From `sslService.secret`, or `.tlsCert`, `.tlsKey` and `.rootCa`; a value `8443:name` counts for that port only. */
function sslConfig(annotations: Annotations, namespace: string, port: number): JsonObject | undefined {
  const of = (name: string): string | undefined => {
    const value = annotations[`gloo.solo.io/sslService.${name}`];
    const [, forPort, rest] = /^(\d+):(.*)$/.exec(value ?? "") ?? [];
    return forPort === undefined ? value : Number(forPort) === port ? rest : undefined;
  };
  const [secret, tlsCert, tlsKey, rootCa] = [of("secret"), of("tlsCert"), of("tlsKey"), of("rootCa")];
  const wish = of("oneWayTls");
  const oneWayTls: JsonObject = wish ? { oneWayTls: /^(1|t|T|TRUE|true|True)$/.test(wish) } : {};
  if (secret) return { secretRef: { namespace, name: secret }, ...oneWayTls };
  if (!tlsCert && !tlsKey && !rootCa) return undefined;
  return { sslFiles: { ...(tlsCert && { tlsCert }), ...(tlsKey && { tlsKey }), ...(rootCa && { rootCa }) }, ...oneWayTls };
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
