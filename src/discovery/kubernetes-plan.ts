// What has to be written to the cluster so that the Upstreams of Services are there as objects. Pure, one Upstream at a time.
//
// Discovery owns the objects with its label, in its namespace: it says what they are, their users how they are reached. An object of
// that name without the label is somebody's own.
import { type JsonObject, type JsonValue, toJson } from "@bufbuild/protobuf";
import { type Upstream, UpstreamSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";
import type { Ref } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";
import { resynced } from "./resync.ts";

export type UpstreamWrite =
  | { readonly kind: "create"; readonly ref: Ref; readonly object: UpstreamObject }
  /** A JSON merge patch: what it does not name stays as it is, also what somebody writes at this moment. */
  | { readonly kind: "update"; readonly ref: Ref; readonly patch: JsonObject }
  | { readonly kind: "delete"; readonly ref: Ref };

/** Everything but `apiVersion` and `kind`. */
export interface UpstreamObject {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly annotations?: Readonly<Record<string, string>>;
  };
  readonly spec: JsonObject;
}

/** `discovered_by` is how Gloo marks them. */
export const ownershipLabel = "discovered_by";
export const ownershipValue = "kubernetesplugin";

export function isDiscoverys(labels: Readonly<Record<string, string>> | undefined): boolean {
  return labels?.[ownershipLabel] === ownershipValue;
}

/** `found`: as discovery has it now; `present`: as it is in the cluster. Undefined: all is as it should be. */
export function writeOf(found: Resource<"Upstream"> | undefined, present: Resource<"Upstream"> | undefined): UpstreamWrite | undefined {
  if (present === undefined) return found?.spec && { kind: "create", ref: found.ref, object: objectOf(found, found.spec) };
  if (!isDiscoverys(present.labels)) return undefined;
  if (found === undefined) return { kind: "delete", ref: present.ref };
  // What cannot be read cannot be merged; its user is told what is wrong with it.
  if (found.spec === undefined || present.spec === undefined || present.isStale) return undefined;
  const spec = patchOf(jsonOf(present.spec), jsonOf(resynced(found.spec, present.spec)));
  const annotations = patchOf(present.annotations, { ...present.annotations, ...found.annotations });
  if (spec === undefined && annotations === undefined) return undefined;
  return { kind: "update", ref: present.ref, patch: { ...(annotations && { metadata: { annotations } }), ...(spec && { spec }) } };
}

function objectOf({ ref, labels, annotations }: Resource<"Upstream">, spec: Upstream): UpstreamObject {
  return {
    metadata: { name: ref.name, namespace: ref.namespace, labels, ...(Object.keys(annotations).length > 0 && { annotations }) },
    spec: jsonOf(spec),
  };
}

function jsonOf(spec: Upstream): JsonObject {
  return toJson(UpstreamSchema, spec) as JsonObject;
}

/** What to say so that the one becomes the other; undefined: nothing. */
function patchOf(before: Readonly<JsonObject>, after: Readonly<JsonObject>): JsonObject | undefined {
  const patch: JsonObject = {};
  for (const [key, value] of Object.entries(after)) {
    const old = before[key];
    if (isObject(old) && isObject(value)) {
      const inner = patchOf(old, value);
      if (inner !== undefined) patch[key] = inner;
    } else if (JSON.stringify(old) !== JSON.stringify(value)) patch[key] = value;
  }
  for (const key of Object.keys(before)) if (!Object.hasOwn(after, key)) patch[key] = null;
  return Object.keys(patch).length === 0 ? undefined : patch;
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
