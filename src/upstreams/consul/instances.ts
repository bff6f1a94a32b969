// What Consul says about the instances of a service, and which of them an Upstream means. Pure.
import { isIP } from "node:net";
import { dataCentreKey, tagKey } from "../../plugin/subsets.ts";
import type { Endpoint, SpecOf } from "../../plugin/upstream-type.ts";
import { ConsulError } from "./consulError.ts";

export interface Instance {
  /** An IP address, or a name that must be resolved. */
  readonly address: string;
  readonly port: number;
  readonly tags: readonly string[];
  /** A check of the instance or of its node is critical, or one of them is in maintenance. */
  readonly isCritical: boolean;
}

interface HealthEntry {
  readonly Node?: { readonly Address?: unknown };
  readonly Service?: { readonly Address?: unknown; readonly Port?: unknown; readonly Tags?: unknown };
  readonly Checks?: unknown;
}

/** Reads the answer of `/v1/health/service/:name`. What cannot be dialled is left out. */
export function instancesOf(json: unknown): readonly Instance[] {
  if (json === null) return [];
  if (!Array.isArray(json)) throw new ConsulError("unusable", "answered with no list of instances");
  const byAddress = new Map<string, Instance>();
  for (const entry of json) {
    const instance = instanceOf(entry);
    if (instance === undefined) continue;
    // One address may be registered under several IDs; it lives if it lives for any of them.
    const key = `${instance.address} ${instance.port}`;
    const other = byAddress.get(key);
    if (other === undefined || other.isCritical) byAddress.set(key, instance);
  }
  return [...byAddress.values()];
}

function instanceOf(entry: HealthEntry | null): Instance | undefined {
  const service = entry?.Service;
  const address = text(service?.Address) || text(entry?.Node?.Address);
  const port = service?.Port;
  if (address === "" || typeof port !== "number" || !Number.isInteger(port) || port < 1 || port > 65535) return undefined;
  const tags = Array.isArray(service?.Tags) ? service.Tags.filter((tag) => typeof tag === "string") : [];
  const checks: unknown[] = Array.isArray(entry?.Checks) ? entry.Checks : [];
  return { address, port, tags, isCritical: checks.some((check) => (check as { Status?: unknown } | null)?.Status === "critical") };
}

function text(value: unknown): string {
  return typeof value === "string" ? value : "";
}

/** The instances of one data centre. */
export interface DataCentre {
  readonly name: string;
  readonly instances: readonly Instance[];
}

/**
 * The endpoints of an Upstream. Each carries, as subset keys, all tags of the service and all data centres, with "1" for those it has
 * and "0" for the rest. `addressesOf` resolves names.
 */
export function endpointsOf(
  spec: SpecOf<"consul">,
  dataCentres: readonly DataCentre[],
  addressesOf: (name: string) => readonly string[],
): readonly Endpoint[] {
  const tags = new Set([...spec.serviceTags, ...spec.subsetTags]);
  for (const { instances } of dataCentres) for (const instance of instances) for (const tag of instance.tags) tags.add(tag);
  const names = new Set([...spec.dataCenters, ...dataCentres.filter(({ instances }) => instances.length > 0).map(({ name }) => name)]);
  return dataCentres.flatMap(({ name, instances }) =>
    instances
      .filter((instance) => isMeant(spec, instance))
      .flatMap((instance) => {
        const labels = Object.fromEntries([
          ...[...names].map((each) => [dataCentreKey(each), each === name ? "1" : "0"]),
          ...[...tags].map((each) => [tagKey(each), instance.tags.includes(each) ? "1" : "0"]),
        ]);
        const { port, isCritical } = instance;
        const common = { port, labels, ...(isCritical && { health: "unhealthy" as const }) };
        if (isIP(instance.address) !== 0) return [{ address: instance.address, ...common }];
        return addressesOf(instance.address).map((address) => ({ address, hostname: instance.address, ...common }));
      }),
  );
}

function isMeant({ instanceTags, instanceBlacklistTags }: SpecOf<"consul">, { tags }: Instance): boolean {
  return instanceTags.every((tag) => tags.includes(tag)) && !instanceBlacklistTags.some((tag) => tags.includes(tag));
}
