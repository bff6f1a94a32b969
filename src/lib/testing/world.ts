// A World for tests, made of resources in memory, and resources made of YAML. Reads plainly: what the real sources forgive or
// refuse is theirs to test.
import { readFileSync } from "node:fs";
import { create, fromJson, type JsonObject, type JsonValue } from "@bufbuild/protobuf";
import { loadAll } from "js-yaml";
import { SettingsSchema } from "../../gen/gloo/gloo/projects/gloo/api/v1/settings_pb.js";
import { UpstreamSchema } from "../../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";
import { formatRef, type Ref, resourceKey } from "../../model/ref.ts";
import { type ApiKind, type Kind, type KubeKind, kinds, kubeKinds, type Resource, type Spec } from "../../model/resource.ts";
import type { World } from "../../plugin/world.ts";
import { apiTypes } from "../../sources/any-types.ts";

export function worldOf(resources: readonly Resource[], settings?: JsonObject): World {
  const own = resources.find((each) => each.kind === "Settings") as Resource<"Settings"> | undefined;
  const byKey = new Map<string, Resource>(resources.map((each) => [each.key, each]));
  return {
    get: <K extends Kind>(kind: K, ref: Ref) => byKey.get(resourceKey(kind, ref)) as Resource<K> | undefined,
    list: <K extends Kind>(kind: K, namespace?: string) =>
      resources
        .filter((each) => each.kind === kind && (namespace === undefined || each.ref.namespace === namespace))
        .sort((a, b) => (formatRef(a.ref) < formatRef(b.ref) ? -1 : 1)) as Resource<K>[],
    settings: settings ? fromJson(SettingsSchema, settings) : (own?.spec ?? create(SettingsSchema)),
  };
}

/**
 * All documents of a YAML text as resources; those of kinds that nobody knows are left out. `upstreamKinds` are types of Upstreams
 * that the API does not have, but a user's configuration.
 */
export function resourcesOf(yaml: string, upstreamKinds: readonly string[] = []): Resource[] {
  return loadAll(yaml).flatMap((document) => resourceOf(document as JsonObject, upstreamKinds) ?? []);
}

export function resourcesOfFile(path: string): Resource[] {
  return resourcesOf(readFileSync(path, "utf8"));
}

function resourceOf(document: JsonObject | null, upstreamKinds: readonly string[]): Resource | undefined {
  const { kind, metadata, apiVersion: _, ...rest } = document ?? {};
  const { name, namespace = "default", labels = {}, annotations = {} } = (metadata ?? {}) as Record<string, JsonValue>;
  if (typeof kind !== "string") return undefined;
  const ref = { namespace: String(namespace), name: String(name) };
  const custom = kind === "Upstream" ? customOf(rest, upstreamKinds) : undefined;
  const spec = specOf(kind, custom?.rest ?? rest, annotations as JsonObject);
  if (spec === undefined) return undefined;
  return {
    kind: kind as Kind,
    key: resourceKey(kind, ref),
    ref,
    labels: labels as Record<string, string>,
    annotations: annotations as Record<string, string>,
    spec,
    ...(custom && { custom: { kind: custom.kind, config: custom.config } }),
    version: "1",
    problems: [],
    origin: { source: "memory" },
  };
}

/** The field of a user's own type, and the Upstream without it. */
function customOf(body: JsonObject, upstreamKinds: readonly string[]) {
  const spec = (body.spec ?? {}) as JsonObject;
  const kind = Object.keys(spec).find((field) => upstreamKinds.includes(field) && !(field in UpstreamSchema.field));
  if (kind === undefined) return undefined;
  const { [kind]: config, ...others } = spec;
  return { kind, config: config as JsonObject, rest: { ...body, spec: others } };
}

function specOf(kind: string, body: JsonObject, annotations: JsonObject): Spec<Kind> | undefined {
  if ((kubeKinds as readonly string[]).includes(kind)) return body as Spec<KubeKind>;
  if (kind === "Secret") return fromJson(kinds.Secret.schema, secretJson(body, annotations));
  const known = kinds[kind as ApiKind];
  return known && (fromJson(known.schema, (body.spec ?? {}) as JsonObject, { registry: apiTypes() }) as Spec<ApiKind>);
}

/** Secrets of Kubernetes in the forms that cases use. */
function secretJson(body: JsonObject, annotations: JsonObject): JsonObject {
  if (body.tls || body.header || body.aws || body.azure) return body;
  const data = (body.stringData ?? {}) as Record<string, string>;
  if ("aws_access_key_id" in data) {
    return {
      aws: {
        accessKey: data.aws_access_key_id ?? "",
        secretKey: data.aws_secret_access_key ?? "",
        sessionToken: data.aws_session_token ?? "",
      },
    };
  }
  if (body.type === "kubernetes.io/tls") {
    return { tls: { certChain: data["tls.crt"] ?? "", privateKey: data["tls.key"] ?? "", rootCa: data["ca.crt"] ?? "" } };
  }
  if (annotations.resource_kind === "*v1.Secret") {
    return Object.fromEntries(Object.entries(data).map(([member, text]) => [member, loadAll(text)[0] as JsonValue]));
  }
  return { header: { headers: data } };
}
