// By what labels and fields resources are found without looking at all of their kind, so that a change of one wakes only those who
// asked for its like.
import type { JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { Kind, Resource } from "../model/resource.ts";
import type { Wanted } from "../plugin/world.ts";

interface Selection {
  /** Labels that may be asked for; absent: any. */
  readonly labels?: readonly string[];
  readonly fields?: Readonly<Record<string, (resource: Resource) => readonly string[]>>;
  /** Never asked for without a namespace. */
  readonly isNamespaced?: true;
}

const selections = {
  RouteTable: {},
  MatchableHttpGateway: {},
  MatchableTcpGateway: {},
  EndpointSlice: { labels: ["kubernetes.io/service-name"], isNamespaced: true },
  Pod: { labels: [], fields: { "status.podIP": podAddresses }, isNamespaced: true },
} as const satisfies { readonly [K in Kind]?: Selection };

export type Selectable = keyof typeof selections;

export const selectableKinds = Object.keys(selections) as readonly Selectable[];

export function isIndexed(kind: Kind): kind is Selectable {
  return Object.hasOwn(selections, kind);
}

/** All keys that a resource is found by. */
export function selectionKeys(kind: Selectable, resource: Resource): string[] {
  const { labels, fields, isNamespaced }: Selection = selections[kind];
  const pairs = [
    ...Object.entries(resource.labels).filter(([name]) => labels?.includes(name) ?? true),
    ...Object.entries(fields ?? {}).flatMap(([name, valuesOf]) => valuesOf(resource).map((value) => [name, value] as const)),
  ];
  const { namespace } = resource.ref;
  return pairs.flatMap(([name, value]) =>
    isNamespaced ? [selectionKey(namespace, name, value)] : [selectionKey(namespace, name, value), selectionKey(undefined, name, value)],
  );
}

/** The key of what is wanted, by one of its names: whoever asks looks at the others. Undefined: there is none to find it by. */
export function selectionOf(kind: Selectable, namespace: string | undefined, labels: Wanted, fields: Wanted): string | undefined {
  const by: Selection = selections[kind];
  if (by.isNamespaced && namespace === undefined) return undefined;
  const pair =
    Object.entries(labels).find(([name]) => by.labels?.includes(name) ?? true) ??
    Object.entries(fields).find(([name]) => by.fields !== undefined && Object.hasOwn(by.fields, name));
  return pair && selectionKey(namespace, ...pair);
}

function selectionKey(namespace: string | undefined, name: string, value: string): string {
  return JSON.stringify([namespace ?? null, name, value]);
}

/** Also of the second family. */
function podAddresses({ spec }: Resource): readonly string[] {
  const status = (spec as JsonObject | undefined)?.status as { podIP?: JsonValue; podIPs?: JsonValue } | undefined;
  const others = Array.isArray(status?.podIPs) ? status.podIPs.map((each) => (each as { ip?: JsonValue } | null)?.ip) : [];
  return [...new Set([status?.podIP, ...others])].filter((ip): ip is string => typeof ip === "string" && ip !== "");
}
