// Many services in a Consul's catalog, on nodes without agents: an agent would take away what it does not know.
import type { RunningConsul } from "./consul.ts";

export interface CatalogInstance {
  readonly service: string;
  readonly id: string;
  readonly port: number;
  /** 127.0.0.1 unless given. */
  readonly address?: string;
}

/** Consul takes at most 64 operations at once. */
const operationsAtOnce = 64;
const nodes = 50;

/** Writes instances; one with an ID that is there already is replaced. `gone` are taken out in the same write, where all fit into one. */
export async function writeCatalog(
  consul: RunningConsul,
  instances: readonly CatalogInstance[],
  gone: readonly Pick<CatalogInstance, "service" | "id">[] = [],
): Promise<void> {
  const operations = [
    ...instances.map(({ service, id, port, address = "127.0.0.1" }) =>
      operation("set", service, { ID: id, Service: service, Address: address, Port: port }),
    ),
    ...gone.map(({ service, id }) => operation("delete", service, { ID: id, Service: service })),
  ];
  for (const part of parts(operations)) await consul.api("PUT", "/v1/txn", part);
}

export interface CatalogCheck {
  readonly service: string;
  /** Of the instance. */
  readonly id: string;
  readonly status: "passing" | "critical";
}

/** Writes a check of each instance. */
export async function writeChecks(consul: RunningConsul, checks: readonly CatalogCheck[]): Promise<void> {
  const operations = checks.map(({ service, id, status }) => ({
    Check: {
      Verb: "set",
      Check: { Node: nodeOf(service), CheckID: `check-${id}`, Name: "up", Status: status, ServiceID: id, ServiceName: service },
    },
  }));
  for (const part of parts(operations)) await consul.api("PUT", "/v1/txn", part);
}

/** The nodes that instances are on. */
export async function writeNodes(consul: RunningConsul): Promise<void> {
  for (let i = 0; i < nodes; i++) await consul.api("PUT", "/v1/catalog/register", { Node: `node-${i}`, Address: "127.0.0.1" });
}

function operation(Verb: "set" | "delete", service: string, Service: object): object {
  return { Service: { Verb, Node: nodeOf(service), Service } };
}

function nodeOf(service: string): string {
  return `node-${Number(/\d+/.exec(service)?.[0] ?? 0) % nodes}`;
}

function* parts<T>(all: readonly T[]): Generator<readonly T[]> {
  for (let i = 0; i < all.length; i += operationsAtOnce) yield all.slice(i, i + operationsAtOnce);
}
