// `watchNamespaces` of Settings: what is elsewhere is as if it were not there, and gets no status.
import type { Resource, Spec } from "../model/resource.ts";
import { controlNamespace } from "../routing/gateways.ts";

/** Undefined: all namespaces. */
export type Watched = ReadonlySet<string> | undefined;

/** The namespace of the control plane itself is always among them. */
export function watchedNamespaces(settings: Spec<"Settings">): Watched {
  const { watchNamespaces } = settings;
  if (watchNamespaces.length === 0 || watchNamespaces.includes("*")) return undefined;
  return new Set([...watchNamespaces, controlNamespace(settings)]);
}

export function sameWatched(a: Watched, b: Watched): boolean {
  return a === b || (a !== undefined && b !== undefined && a.size === b.size && a.isSubsetOf(b));
}

/** Settings are always read: they say what is. */
export function isWatched({ kind, ref }: Pick<Resource, "kind" | "ref">, watched: Watched): boolean {
  return kind === "Settings" || kind === "Namespace" || kind === "Node" || watched === undefined || watched.has(ref.namespace);
}
