// The list of all services of a data centre with their tags: `/v1/catalog/services`.
import { ConsulError } from "./consulError.ts";

/** Tags by name of the service. */
export type Catalog = ReadonlyMap<string, readonly string[]>;

export const catalogPath = "v1/catalog/services";

/** Consul itself is in its catalog; it is nothing to route to. */
const own = "consul";

export function catalogOf(json: unknown): Catalog {
  if (typeof json !== "object" || json === null || Array.isArray(json))
    throw new ConsulError("unusable", "answered with no list of services");
  const catalog = new Map<string, readonly string[]>();
  for (const [name, tags] of Object.entries(json)) {
    if (name === "" || name === own) continue;
    catalog.set(name, Array.isArray(tags) ? tags.filter((tag) => typeof tag === "string").sort() : []);
  }
  return catalog;
}
