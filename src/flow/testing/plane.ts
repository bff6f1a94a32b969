// A control plane on resources in memory, with a client that has what it was sent last.
import { builtins } from "../../builtins.ts";
import { ControlPlane } from "../../control-plane.ts";
import type { Change } from "../../model/change.ts";
import type { EnvoyResource, ProxyKey, Refusal, ResourceChanges, ResourceConsumer, TypeUrl } from "../../model/envoy-resource.ts";
import type { ResourceKey } from "../../model/ref.ts";
import type { Resource } from "../../model/resource.ts";
import type { Plugins } from "../../plugin/plugins.ts";
import { memorySource } from "../../sources/memory.ts";
import { readText } from "../../sources/read-text.ts";
import type { StateStore } from "../../state/store.ts";
import type { BatchReport } from "../batch-report.ts";

export const proxy: ProxyKey = "gloo-system~gateway-proxy";

/** What a client would have: the newest of everything published. */
export class Client {
  readonly has = new Map<string, EnvoyResource>();
  publish(_proxy: ProxyKey, { upserts, removals }: ResourceChanges): void {
    for (const each of upserts) this.has.set(`${each.typeUrl} ${each.name}`, each);
    for (const each of removals) this.has.delete(`${each.typeUrl} ${each.name}`);
  }
  retire(): void {}
  get(typeUrl: TypeUrl, name: string): EnvoyResource {
    const resource = this.has.get(`${typeUrl} ${name}`);
    if (resource === undefined) throw new Error(`the client has no ${name}; it has ${[...this.has.keys()].join(", ")}`);
    return resource;
  }
  /** The bytes as text: enough to see whether a word is in it. */
  text(typeUrl: TypeUrl, name: string): string {
    return Buffer.from(this.has.get(`${typeUrl} ${name}`)?.bytes ?? []).toString("latin1");
  }
  names(typeUrl: TypeUrl): string[] {
    return [...this.has.values()].filter((each) => each.typeUrl === typeUrl).map(({ name }) => name);
  }
}

export interface PlaneOptions {
  readonly plugins?: Plugins;
  /** Besides the client. */
  readonly consumers?: readonly ResourceConsumer[];
  readonly store?: StateStore;
  readonly looksOutside?: boolean;
  readonly secretsApart?: boolean;
}

export async function startPlane(
  resources: readonly Resource[],
  { plugins = builtins, consumers = [], store, looksOutside = false, secretsApart = false }: PlaneOptions = {},
) {
  const source = memorySource(resources);
  const client = new Client();
  const errors: string[] = [];
  const log = {
    debug() {},
    info() {},
    warn() {},
    error: (fields: object, message: string) => errors.push(`${message} ${JSON.stringify(fields)}`),
  };
  const plane = new ControlPlane({
    sources: [source],
    consumers: [...consumers, client],
    plugins,
    log,
    looksOutside,
    secretsApart,
    ...(store && { store }),
  }).start();
  await plane.ready;
  const settled = () =>
    new Promise<BatchReport>((resolve) => {
      const end = plane.onBatch((report) => {
        end();
        resolve(report);
      });
    });
  return {
    client,
    plane,
    /** What the log says of faults of ours. */
    errors,
    settled,
    /** Says it, and waits until it is carried through. */
    async say(...changes: Change[]): Promise<BatchReport> {
      const next = settled();
      source.say(...changes);
      return next;
    },
    async refuse(resource: EnvoyResource, message: string, details: Partial<Refusal> = {}): Promise<BatchReport> {
      const next = settled();
      plane.refuse({ proxy, node: "n", resource, message, ...details });
      return next;
    },
    stateOf: (key: string) => plane.current.statuses.get(key as ResourceKey)?.state,
    [Symbol.asyncDispose]: () => plane[Symbol.asyncDispose](),
  };
}

export const changes = (text: string): Change[] => read(text).map((resource) => ({ kind: "apply", resource }));
export const read = (text: string) => readText(text, "a.yaml").resources;
