// The control plane and its xDS server in this process, with a real Envoy on them: for tests that look at what is sent.
import { setImmediate as nextTurn } from "node:timers/promises";
import { builtins } from "../../src/builtins.ts";
import { ControlPlane } from "../../src/control-plane.ts";
import type { BatchReport } from "../../src/flow/batch-report.ts";
import { object } from "../../src/lib/testing/surroundings.ts";
import type { EnvoyResource, ProxyKey, Refusal, ResourceConsumer } from "../../src/model/envoy-resource.ts";
import type { Resource } from "../../src/model/resource.ts";
import type { Plugins } from "../../src/plugin/plugins.ts";
import { memorySource } from "../../src/sources/memory.ts";
import { readText } from "../../src/sources/read-text.ts";
import { envoyBootstrap } from "../../src/xds/bootstrap.ts";
import { createXdsServer, type XdsServer } from "../../src/xds/server.ts";
import { stat, until } from "../conformance/xds/envoy.ts";
import { type RunningEnvoy, startEnvoy } from "../servers/envoy.ts";
import { freePorts } from "../servers/ports.ts";

export const proxy: ProxyKey = "gloo-system~gateway-proxy";

export interface InProcess extends AsyncDisposable {
  /** Where the Gateway takes requests. */
  readonly port: number;
  readonly plane: ControlPlane;
  readonly server: XdsServer;
  readonly envoy: RunningEnvoy;
  /** Ends Envoy and starts one that knows nothing. */
  freshEnvoy(): Promise<RunningEnvoy>;
  readonly refusals: readonly Refusal[];
  /** Faults of ours. */
  readonly faults: readonly string[];
  readonly batches: readonly BatchReport[];
  apply(...objects: readonly object[]): void;
  /** These and the Gateway, and nothing else. */
  reset(...objects: readonly object[]): void;
  /** What was applied before is with Envoy, which has answered and warmed it up. */
  settled(): Promise<void>;
  /** By the end of the type URL, what was sent from now until `sent` is called. */
  count(): () => Record<string, number>;
}

export interface InProcessOptions {
  readonly objects: readonly object[];
  readonly plugins?: Plugins;
  readonly consumers?: readonly ResourceConsumer[];
  /** Of the Gateway, besides its address. */
  readonly gateway?: object;
  /** Changes what is sent: the address of a server that is not to be had here. */
  readonly rewrite?: (resource: EnvoyResource) => EnvoyResource;
  /** Further arguments of Envoy. */
  readonly args?: readonly string[];
  /** How long a type waits for the acknowledgement of the one before. */
  readonly holdMs?: number;
  /** Which VirtualServices the Gateway takes; all unless given. */
  readonly httpGateway?: object;
  /** Changes Envoy's bootstrap. */
  readonly bootstrap?: (made: Bootstrap) => object;
}

export interface Bootstrap {
  readonly static_resources: { readonly clusters: readonly { readonly name: string; readonly load_assignment: object }[] };
}

export async function inProcess({
  objects,
  plugins = builtins,
  consumers = [],
  args = [],
  bootstrap,
  gateway: ofGateway = { httpGateway: {} },
  holdMs,
  rewrite = (resource) => resource,
}: InProcessOptions): Promise<InProcess> {
  const [port = 0, adminPort = 0] = await freePorts(2);
  const gateway = object("gateway.solo.io/v1", "Gateway", "gateway-proxy", "gloo-system", {
    bindAddress: "127.0.0.1",
    bindPort: port,
    ...ofGateway,
  });
  const source = memorySource(resourcesOf([gateway, ...objects]));
  const refusals: Refusal[] = [];
  const faults: string[] = [];
  const batches: BatchReport[] = [];
  const quiet = () => undefined;
  await using open = new AsyncDisposableStack();
  const server = open.use(createXdsServer({ onRefusal: (refusal) => refusals.push(refusal), ...(holdMs !== undefined && { holdMs }) }));
  const plane = open.use(
    new ControlPlane({
      sources: [source],
      consumers: [rewriting(server, rewrite), ...consumers],
      plugins,
      looksOutside: true,
      secretsApart: true,
      log: { debug: quiet, info: quiet, warn: quiet, error: (fields, message) => faults.push(`${message}: ${JSON.stringify(fields)}`) },
    }),
  );
  plane.onBatch((report) => batches.push(report));
  plane.start();
  await plane.ready;
  server.ready();
  const xds = (await server.listen({ host: "127.0.0.1", port: 0 })) as { host: string; port: number };
  const made = envoyBootstrap({ proxy, xds, admin: { port: adminPort } }) as Bootstrap;
  const start = () => startEnvoy(bootstrap?.(made) ?? made, adminPort, args);
  let envoy = await start();
  open.defer(() => envoy.kill());
  const stays = open.move();
  let batchesBefore = 0;
  const apply: InProcess["apply"] = (...changed) => {
    batchesBefore = batches.length;
    source.say(...resourcesOf(changed).map((resource) => ({ kind: "apply" as const, resource })));
  };
  return {
    port,
    plane,
    server,
    get envoy() {
      return envoy;
    },
    async freshEnvoy() {
      await envoy.kill();
      envoy = await start();
      return envoy;
    },
    refusals,
    faults,
    batches,
    apply,
    reset(...all) {
      batchesBefore = batches.length;
      source.say({ kind: "reset", resources: resourcesOf([gateway, ...all]) });
    },
    async settled() {
      await until("a batch was carried out", () => batches.length > batchesBefore);
      await until("Envoy has answered", () => isQuiet(server), 120_000);
      await until("Envoy has warmed up what it got", async () => (await stat(envoy, "cluster_manager.warming_clusters")) === 0);
    },
    count() {
      const before = counts(server);
      return () => {
        const now = counts(server);
        return Object.fromEntries(
          Object.entries(now).flatMap(([type, n]) => (n === (before[type] ?? 0) ? [] : [[type, n - (before[type] ?? 0)]])),
        );
      };
    },
    [Symbol.asyncDispose]: () => stays[Symbol.asyncDispose](),
  };
}

function rewriting(server: XdsServer, rewrite: (resource: EnvoyResource) => EnvoyResource): ResourceConsumer {
  return {
    publish: (key, { upserts, removals }) => server.publish(key, { upserts: upserts.map(rewrite), removals }),
    retire: (key) => server.retire(key),
  };
}

export function resourcesOf(objects: readonly object[]): Resource[] {
  return readText(objects.map((each) => JSON.stringify(each)).join("\n---\n"), "all.yaml").resources as Resource[];
}

/** Nothing is awaited, and nothing is sent in the turns that follow. */
async function isQuiet(server: XdsServer): Promise<boolean> {
  for (let turn = 0; turn < 20; turn++) {
    const [client] = server.clients();
    if (client === undefined || client.types.some(({ pendingSince }) => pendingSince !== undefined)) return false;
    await nextTurn();
  }
  return true;
}

function counts(server: XdsServer): Record<string, number> {
  return Object.fromEntries(
    Object.entries(server.metrics.types).map(([typeUrl, { resources }]) => [typeUrl.slice(typeUrl.lastIndexOf(".") + 1), resources]),
  );
}
