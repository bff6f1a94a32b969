// The identity of a resource: a namespace and a name.

/** Namespace and name of a resource. Printed as `namespace.name`, as Gloo does. */
export interface Ref {
  readonly namespace: string;
  readonly name: string;
}

/** `namespace.name`, for messages to users. Not injective (names may hold dots); use {@link resourceKey} for keys. */
export function formatRef(ref: Ref): string {
  return `${ref.namespace}.${ref.name}`;
}

/** Identifies one resource of any kind: `Kind namespace/name`. Injective, because none of the three may hold a space or a slash. */
export type ResourceKey = string & { readonly __brand: "ResourceKey" };

/** The key of a resource: `VirtualService gloo-system/default`. */
export function resourceKey(kind: string, ref: Ref): ResourceKey {
  return `${kind} ${ref.namespace}/${ref.name}` as ResourceKey;
}

/** Splits a key that {@link resourceKey} made. */
export function parseResourceKey(key: ResourceKey): { readonly kind: string; readonly ref: Ref } {
  const space = key.indexOf(" ");
  const slash = key.indexOf("/", space);
  return { kind: key.slice(0, space), ref: { namespace: key.slice(space + 1, slash), name: key.slice(slash + 1) } };
}
