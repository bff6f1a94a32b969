// What carries the traffic of a run: the embedded data plane, an Envoy of ours, or Envoys that come by themselves over xDS.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { ListenerInfo } from "../dataplane/dataplane.ts";
import { formatListenAddress, type ListenAddress } from "../lib/listen-address.ts";
import { type EnvoyResource, type ProxyKey, type Refusal, type ResourceConsumer, typeUrls } from "../model/envoy-resource.ts";
import type { Problem } from "../model/problem.ts";
import type { Logger } from "../plugin/upstream-type.ts";
import type { ListenSecurity, ListenAddress as XdsAddress } from "../xds/address.ts";
import type { XdsServer } from "../xds/server.ts";
import { findEnvoyBinary } from "./envoy-binary.ts";
import type { EnvoyEnd } from "./envoy-process.ts";
import { CommandError, exitCodes } from "./exit.ts";

export interface CarrierOptions {
  readonly proxy: "embedded" | "envoy" | "none";
  readonly proxyKey: ProxyKey;
  readonly xds: ListenAddress | undefined;
  readonly xdsSecurity: ListenSecurity;
  /** The path of --envoy. */
  readonly envoy: string | undefined;
  readonly log: Logger;
  /** An Envoy refused a resource. */
  refuse(refusal: Refusal): void;
  /** A client that refused a listener can bind it now. */
  retry(listener: string): void;
  /** What the embedded data plane finds about resources; replaces what it said before. */
  report(problems: readonly Problem[]): void;
}

export interface Carriers extends AsyncDisposable {
  readonly consumers: readonly ResourceConsumer[];
  /** For people: `embedded data plane`. */
  readonly name: string;
  readonly xds: XdsServer | undefined;
  /** Where xDS is served, for people; undefined when only our own Envoy is meant to find it. */
  readonly xdsText: string | undefined;
  /** Counters and gauges of the traffic under Envoy's names, where it passes through us. */
  stats(): Readonly<Record<string, number>>;
  /** Listeners on which no requests are taken. */
  closed(): readonly ClosedListener[];
  /** All there is has been published. */
  ready(): Promise<void>;
  /** No new requests; resolves when those in flight are done, or after so long. */
  drain(graceMs: number): Promise<void>;
  /** Ends at once what would outlive the process. */
  kill(): void;
}

export interface ClosedListener {
  readonly port: number;
  /** Why it could not be bound; undefined when it was not tried, which is a finding by then. */
  readonly failure?: string;
  /** Where its requests are taken instead. */
  readonly meanwhile?: { readonly address: string; readonly port: number };
}

/** Where Envoys that others start find us. */
export const defaultXds: ListenAddress = { kind: "tcp", host: "127.0.0.1", port: 9977, isLoopback: true };

export async function startCarriers(options: CarrierOptions): Promise<Carriers> {
  switch (options.proxy) {
    case "embedded":
      return withEmbedded(options);
    case "envoy":
      return withEnvoy(options);
    case "none":
      return withXdsOnly(options);
  }
}

/** With --xds, Envoys may come as well: they get the very same resources. */
async function withEmbedded(options: CarrierOptions): Promise<Carriers> {
  const { createDataPlane } = await import("../dataplane/dataplane.ts");
  const xds = options.xds && (await startXds(options, options.xds));
  const dataPlane = createDataPlane({
    proxy: options.proxyKey,
    onProblems: (problems) => options.report(problems),
    log: (level, message) => options.log[level]({}, message),
  });
  return {
    consumers: xds ? [dataPlane, xds] : [dataPlane],
    name: "embedded data plane",
    xds,
    xdsText: options.xds && formatListenAddress(options.xds),
    stats: () => dataPlane.stats(),
    closed: () =>
      dataPlane
        .listeners()
        .filter(({ state }) => state === "failed" || state === "not served")
        .map((each) => ({
          port: each.port,
          ...(each.state === "failed" && { failure: failureText(each) }),
          ...(each.meanwhile && { meanwhile: each.meanwhile }),
        })),
    async ready() {
      xds?.ready();
      await dataPlane.settled();
    },
    drain: (graceMs) => dataPlane.drain(graceMs),
    kill: () => {},
    async [Symbol.asyncDispose]() {
      await dataPlane[Symbol.asyncDispose]();
      await xds?.[Symbol.asyncDispose]();
    },
  };
}

async function withXdsOnly(options: CarrierOptions): Promise<Carriers> {
  const xds = await startXds(options, options.xds ?? defaultXds);
  return {
    consumers: [xds],
    name: "no proxy of ours",
    xds,
    xdsText: formatListenAddress(options.xds ?? defaultXds),
    stats: () => ({}),
    closed: () => [],
    ready: async () => xds.ready(),
    drain: async () => {},
    kill: () => {},
    [Symbol.asyncDispose]: () => xds[Symbol.asyncDispose](),
  };
}

/** Our own Envoy finds us by a Unix socket that nobody else may open, unless an address is asked for. */
async function withEnvoy(options: CarrierOptions): Promise<Carriers> {
  const binary = findEnvoyBinary(options.envoy);
  const { superviseEnvoy } = await import("./envoy-process.ts");
  const folder = mkdtempSync(join(tmpdir(), "headworks-xds-"));
  const removeFolder = () => rmSync(folder, { recursive: true, force: true });
  const address = options.xds ?? { kind: "unix" as const, path: join(folder, "xds.sock") };
  const refused = refusedListeners(options.proxyKey);
  const refuse = (refusal: Refusal) => {
    refused.note(refusal);
    options.refuse(refusal);
  };
  const xds = await startXds({ ...options, refuse }, address).catch((error) => {
    removeFolder();
    throw error;
  });
  const served = () => xds.served(options.proxyKey)[typeUrls.listener] ?? [];
  const envoy = superviseEnvoy({ binary, proxy: options.proxyKey, xds: reachable(address), log: options.log });
  const listeners: Listeners = {
    wanted: () => refused.others(served()),
    isTaken: () => hasAnswered(xds),
    open: () => envoy.openListeners(),
  };
  let hasStarted = false;
  return {
    consumers: [xds],
    name: `Envoy ${binary.path}, found by ${binary.foundBy}`,
    xds,
    xdsText: options.xds && formatListenAddress(options.xds),
    stats: () => ({}),
    closed: () => refused.unbound(served()),
    async ready() {
      xds.ready();
      // One that ends later is started again, and opens its listeners then.
      const end = await opened(listeners, hasStarted ? undefined : envoy.firstEnd);
      if (end)
        throw new CommandError(`Envoy ended as it started (${binary.path}, ${end.how})`, exitCodes.usage, end.lastWords || undefined);
      hasStarted = true;
    },
    drain: (graceMs) => envoy.stop(graceMs),
    kill() {
      envoy.kill();
      removeFolder();
    },
    async [Symbol.asyncDispose]() {
      await envoy.stop(0);
      await xds[Symbol.asyncDispose]();
      removeFolder();
    },
  };
}

/** Listeners that our Envoy has refused, in the version that it refused. Those that it could not bind are among them. */
function refusedListeners(proxy: ProxyKey) {
  const refusals = new Map<string, { readonly version: string; readonly unbound?: ClosedListener }>();
  return {
    note({ resource: { typeUrl, name, version }, message, ...refusal }: Refusal) {
      if (refusal.proxy !== proxy || typeUrl !== typeUrls.listener) return;
      const words = /cannot bind '([^']*):(\d+)': ([^\n]*)/.exec(message);
      const [, host, port, why] = words ?? [];
      refusals.set(name, { version, ...(words && { unbound: { port: Number(port), failure: `${host}:${port}: ${why}` } }) });
    },
    /** What was refused is not served any more; a later version of it may have been bound. */
    unbound(served: readonly EnvoyResource[]): ClosedListener[] {
      const versions = new Map(served.map(({ name, version }) => [name, version]));
      return [...refusals].flatMap(([name, { version, unbound }]) => ((versions.get(name) ?? version) === version ? (unbound ?? []) : []));
    },
    others: (served: readonly EnvoyResource[]) =>
      served.filter(({ name, version }) => refusals.get(name)?.version !== version).map(({ name }) => name),
  };
}

/** How long a start waits for Envoy to open its listeners; it goes on by itself after that. */
const envoyPatienceMs = 20_000;

interface Listeners {
  wanted(): readonly string[];
  /** Envoy has them, refused or not. */
  isTaken(): boolean;
  open(): Promise<ReadonlySet<string>>;
}

/**
 * Resolves when Envoy takes requests on every listener that it has not refused: it says that it has a listener before the routes of
 * that listener have come. With the end of Envoy, if that comes first and somebody is waiting for it: one that ends as it starts (not an
 * Envoy, not for this system) is for the user to mend.
 */
async function opened({ wanted, isTaken, open }: Listeners, envoyEnd?: Promise<EnvoyEnd>): Promise<EnvoyEnd | undefined> {
  const until = performance.now() + envoyPatienceMs;
  let end: EnvoyEnd | undefined;
  void envoyEnd?.then((its) => {
    end = its;
  });
  const isOpen = async () => {
    if (!isTaken()) return false;
    const names = await open();
    return wanted().every((name) => names.has(name));
  };
  while (wanted().length > 0 && performance.now() < until && !(await isOpen())) {
    if (end) return end;
    await delay(10);
  }
  return undefined;
}

/** Whether a proxy has answered about its listeners, with a yes or a no. */
function hasAnswered(xds: XdsServer): boolean {
  const types = xds.clients().flatMap((client) => client.types);
  return types.some((type) => type.typeUrl === typeUrls.listener && (type.ackedVersion !== "" || type.nacks > 0));
}

function failureText({ address, port, error }: ListenerInfo): string {
  return `${address.includes(":") ? `[${address}]` : address}:${port}: ${error?.includes("EADDRINUSE") ? "something else listens there already" : error}`;
}

async function startXds(options: CarrierOptions, address: ListenAddress): Promise<XdsServer> {
  const { createXdsServer } = await import("../xds/server.ts");
  const server = createXdsServer({
    log: options.log,
    onRefusal: (refusal) => options.refuse(refusal),
    onAskedAgain: (name) => options.retry(name),
  });
  try {
    await server.listen(xdsAddress(address), options.xdsSecurity);
  } catch (error) {
    await server[Symbol.asyncDispose]();
    throw new CommandError(`xDS cannot be served on ${formatListenAddress(address)}: ${(error as Error).message}`);
  }
  return server;
}

function xdsAddress(address: ListenAddress): XdsAddress {
  return address.kind === "unix" ? { path: address.path } : { host: address.host, port: address.port };
}

/** Where an Envoy on this machine reaches what listens on all interfaces. */
function reachable(address: ListenAddress): { readonly host: string; readonly port: number } | { readonly path: string } {
  if (address.kind === "unix") return { path: address.path };
  const isAny = address.host === "::" || address.host === "0.0.0.0";
  return { host: isAny ? "127.0.0.1" : address.host, port: address.port };
}
