// Serving a folder or a cluster: the control plane, what carries the traffic and the admin server, from their start to their drained end.

import { statSync } from "node:fs";
import { flushCompileCache } from "node:module";
import { setTimeout as delay } from "node:timers/promises";
import type { SourceView } from "../admin/contract.ts";
import { needsToken } from "../admin/needs-token.ts";
import type { AdminServer } from "../admin/server.ts";
import { ControlPlane, type Finding } from "../control-plane.ts";
import type { BatchReport } from "../flow/batch-report.ts";
import { withoutEchoes } from "../flow/echoes.ts";
import type { ListenAddress } from "../lib/listen-address.ts";
import { releaseMemory } from "../lib/release-memory.ts";
import type { ProxyKey } from "../model/envoy-resource.ts";
import type { ResourceKey } from "../model/ref.ts";
import { kinds, type Resource } from "../model/resource.ts";
import type { Plugins } from "../plugin/plugins.ts";
import type { Remembered, Source } from "../plugin/source.ts";
import type { Logger } from "../plugin/upstream-type.ts";
import type { ListenSecurity } from "../xds/address.ts";
import { type Carriers, defaultXds, startCarriers } from "./carriers.ts";
import { endOnFault } from "./end-on-fault.ts";
import { CommandError, exitCodes } from "./exit.ts";
import { openFolder, scopeOf } from "./folders.ts";
import { type GatewayUrl, gatewayUrls, movedTo, samePlaces } from "./gateway-urls.ts";
import { type Narrator, narrator as newNarrator } from "./narrator.ts";
import { addressOf, readNamed, readToken } from "./option-values.ts";
import { loadPlugins } from "./plugins.ts";
import { type StopSignal, stopSignal } from "./stop-signal.ts";
import { isUnbound, unboundPlaces } from "./unbound.ts";

export interface ServeOptions {
  readonly proxy: "embedded" | "envoy" | "none";
  readonly proxyName: string;
  readonly xds?: string;
  readonly xdsTlsCert?: string;
  readonly xdsTlsKey?: string;
  readonly xdsClientCa?: string;
  readonly xdsInsecure?: boolean;
  readonly admin: string;
  readonly adminTokenFile?: string;
  readonly stateDir?: string;
  readonly envoy?: string;
  readonly config?: string;
  readonly grace: number;
  readonly log: "auto" | "pretty" | "json";
  readonly logLevel: string;
}

/** Opens what is to be served. Throws a CommandError for what the user can mend. */
export type Input = (context: InputContext) => Promise<OpenInput> | OpenInput;

export interface InputContext {
  readonly plugins: Plugins;
  /** What was in service before a restart. */
  readonly remembered: readonly Remembered[];
  readonly log: Logger;
}

export interface OpenInput {
  readonly source: Source;
  /** For people, where it is no folder: where the resources are. */
  readonly name?: string;
  readonly watching: readonly string[];
  /** The folder or file, where it is one. */
  readonly path?: string;
  /** What is done for where the resources are, as long as the control plane runs. */
  readonly attend?: (plane: ControlPlane) => AsyncDisposable;
  /** What else has to be so before others are sent here, by name. */
  readonly readiness?: () => Readonly<Record<string, boolean>>;
  close?(): void;
}

export interface Serving {
  /** Where requests are taken: `http://127.0.0.1:8080`. */
  readonly gateways: readonly string[];
  /** For people: `embedded data plane`. */
  readonly proxy: string;
  readonly admin: string | undefined;
}

export function folderInput(folder: string): Input {
  return ({ plugins, remembered }) => ({ source: openFolder(folder, plugins, remembered), watching: [folder], path: folder });
}

/**
 * Serves its input until SIGINT or SIGTERM has come and requests in flight are done; resolves with the exit code. What the user can
 * mend (a folder that is not there, a port in use) is thrown before anything is served. `onReady` takes the place of the usual
 * lines about the start.
 */
export async function serve(input: Input, options: ServeOptions, onReady?: (serving: Serving) => void): Promise<number> {
  const started = performance.now();
  const settings = parseSettings(options);
  let kill = () => {};
  await using open = new AsyncDisposableStack();
  let textOf: (file: string) => string | undefined = () => undefined;
  const narrator = await newNarrator({ format: options.log, level: options.logLevel, textOf: (file) => textOf(file) });
  const { log } = narrator;
  endOnFault(log, () => kill());

  // The control plane closes it.
  const store = options.stateDir === undefined ? undefined : await openStore(options.stateDir, narrator);
  const plugins = await loadPlugins(options.config);
  const { source, name, watching, path, attend, readiness, close } = await input({ plugins, remembered: store?.remembered ?? [], log });
  open.defer(() => close?.());
  textOf = (file) => source.text?.(file);
  // From here on there is something to end well. Before, a signal ends us as it ends any program, whatever we wait for.
  const stop = stopSignal(() => kill());
  // What carries the traffic and the control plane tell each other things; neither does before the control plane is there.
  const late: { plane?: ControlPlane } = {};
  const carriers = open.use(
    await startCarriers({
      proxy: options.proxy,
      proxyKey: settings.proxyKey,
      xds: settings.xds,
      xdsSecurity: settings.xdsSecurity,
      envoy: options.envoy,
      log,
      refuse: (refusal) => late.plane?.refuse(refusal),
      retry: (listener) => late.plane?.retry(listener),
      report: (problems) => late.plane?.report("dataplane", problems),
    }),
  );
  kill = () => carriers.kill();
  const plane = open.use(
    new ControlPlane({
      sources: [source],
      consumers: carriers.consumers,
      plugins,
      log,
      looksOutside: true,
      secretsApart: true,
      ownPorts: [settings.admin, settings.xds ?? defaultXds].flatMap((each) => (each?.kind === "tcp" ? [each.port] : [])),
      ...(store && { store }),
    }),
  );
  late.plane = plane;
  if (attend) open.use(attend(plane));
  const state = { isRead: false, isDraining: false };
  const earlier: BatchReport[] = [];
  const noEarlier = plane.onBatch((report) => earlier.push(report));
  const openGateways = (): GatewayUrl[] => {
    const closed = carriers.closed();
    return gatewayUrls(plane.current.proxies.get(settings.proxyKey) ?? []).flatMap((gateway) => {
      const its = closed.find(({ port }) => port === gateway.port);
      if (its === undefined) return [gateway];
      return its.meanwhile ? [movedTo(gateway, its.meanwhile.address, its.meanwhile.port)] : [];
    });
  };
  const failures = () => carriers.closed().flatMap(({ failure }) => failure ?? []);
  plane.start();
  const served = plane.ready.then(() => carriers.ready());
  // Requests come first: the admin server's modules take longer to load than a folder to read. Where a source is slow, its probes
  // are answered meanwhile.
  await Promise.race([served, stop.first, delay(adminPatienceMs, undefined, { ref: false })]);
  const adminParts = { plane, source, carriers, narrator, state, earlier, readiness };
  const admin = settings.admin && open.use(await startAdminServer(settings.admin, settings.token, adminParts));
  noEarlier();
  await Promise.race([served, stop.first]);
  if (!stop.isAsked) {
    state.isRead = true;
    // What could not be bound has just been reported.
    await plane.caughtUp();
    const { findings, resources } = plane.current;
    const isEmpty = path !== undefined && holdsNothing(path, source, resources.values(), findings);
    // Files may come into a folder; a file of something else is a mistake in the command line.
    if (isEmpty && isFile(path))
      throw new CommandError(
        `${path} holds no object of gloo.solo.io`,
        exitCodes.usage,
        "name a folder of .yaml, .yml and .json files, or one of them",
      );
    const gateways = openGateways();
    if (failures().length > 0 && gateways.length === 0)
      throw new CommandError(
        `the gateway cannot listen on ${failures().join("; ")}${unboundPlaces(findings)}`,
        exitCodes.usage,
        "end what listens there (another headworks, the demo?), or write another bindPort into the Gateway",
      );
    // Reading is done, and nobody has been told yet that there is a gateway.
    releaseMemory();
    // Written now, and not when this ends: whoever is killed would compile all of it again the next time.
    flushCompileCache();
    if (onReady) onReady({ gateways: gateways.map(({ url }) => url), proxy: carriers.name, admin: admin?.url });
    else {
      const scope =
        name === undefined ? scopeOf(resources.values(), findings) : { resources: countFrom(source, resources), files: 0, from: name };
      const remembered = new Set(store?.remembered.map(({ key }) => key));
      const notServed = [...resources.values()].filter(({ key, spec }) => spec === undefined && !remembered.has(key)).map(({ key }) => key);
      const milliseconds = Math.round(performance.now() - started);
      narrator.loaded({
        ...scope,
        findings: withoutEchoes(findings),
        milliseconds,
        notServed,
        isForgetful: store === undefined,
        ...(isEmpty && { nothingIn: path }),
      });
      narrator.ready({ gateways, proxy: carriers.name, admin: admin?.url, xds: carriers.xdsText, watching });
    }
    let said = gateways;
    const tellMoves = async () => {
      await carriers.ready();
      const now = openGateways();
      if (!samePlaces(now, said)) narrator.moved(now, failures());
      said = now;
    };
    plane.onBatch((report) => {
      if (report.isFirst) return;
      narrator.batch(report);
      if (report.touchesListeners || report.resolved.some(isUnbound) || report.appeared.some(isUnbound))
        tellMoves().catch((fault: unknown) => log.error({ error: String(fault) }, "where requests are taken could not be told"));
    });
  }
  // Awaited here: what is open stays open until the end has come.
  return await end(stop, state, carriers, narrator, options.grace);
}

/** Waits for the signal, and for the requests in flight. */
async function end(
  stop: StopSignal,
  state: { isDraining: boolean },
  carriers: Carriers,
  narrator: Narrator,
  grace: number,
): Promise<number> {
  const reason = await stop.first;
  state.isDraining = true;
  narrator.draining(grace);
  await carriers.drain(grace * 1000);
  return reason === "SIGINT" ? exitCodes.interrupted : exitCodes.ok;
}

function countFrom({ name }: Source, resources: ReadonlyMap<ResourceKey, Resource>): number {
  return resources.values().reduce((count, { origin }) => count + (origin.source === name ? 1 : 0), 0);
}

/** Nothing of the API was read, not even something that is broken. In a file that is no YAML by its name, everything is broken. */
function holdsNothing(path: string, source: Source, resources: IteratorObject<Resource>, findings: readonly Finding[]): boolean {
  if (resources.some(({ origin, kind }) => origin.source === source.name && kind in kinds)) return false;
  const mayBeMended = !isFile(path) || /\.(ya?ml|json)$/i.test(path);
  return !(mayBeMended && findings.some(({ problem }) => problem.severity === "error"));
}

function isFile(path: string): boolean {
  return statSync(path, { throwIfNoEntry: false })?.isFile() === true;
}

/** How long the admin server waits for the first configuration. */
const adminPatienceMs = 500;

interface Settings {
  readonly proxyKey: ProxyKey;
  readonly xds: ListenAddress | undefined;
  readonly xdsSecurity: ListenSecurity;
  readonly admin: ListenAddress | undefined;
  readonly token: string | undefined;
}

/** Everything that can be wrong with the options, found before anything starts. */
function parseSettings(options: ServeOptions): Settings {
  const admin = options.admin === "none" ? undefined : addressOf("--admin", options.admin);
  const token = options.adminTokenFile === undefined ? undefined : readToken(options.adminTokenFile);
  const missing = admin && needsToken(admin, token);
  if (missing !== undefined) throw new CommandError(missing);
  return {
    proxyKey: proxyKeyOf(options.proxyName),
    xds: options.xds === undefined ? undefined : addressOf("--xds", options.xds),
    xdsSecurity: securityOf(options),
    admin,
    token,
  };
}

function proxyKeyOf(text: string): ProxyKey {
  const parts = text.split("~");
  if (parts.length > 2 || parts.includes("")) throw new CommandError(`--proxy-name is a name or namespace~name; it is "${text}"`);
  return parts.length === 2 ? (text as ProxyKey) : `gloo-system~${text}`;
}

function securityOf({ xdsTlsCert, xdsTlsKey, xdsClientCa, xdsInsecure = false }: ServeOptions): ListenSecurity {
  if (xdsTlsCert === undefined && xdsTlsKey === undefined && xdsClientCa === undefined) return { insecure: xdsInsecure };
  if (xdsTlsCert === undefined || xdsTlsKey === undefined)
    throw new CommandError("TLS for xDS needs both --xds-tls-cert and --xds-tls-key");
  return {
    insecure: xdsInsecure,
    tls: {
      cert: readNamed("--xds-tls-cert", xdsTlsCert),
      key: readNamed("--xds-tls-key", xdsTlsKey),
      ...(xdsClientCa !== undefined && { clientCa: readNamed("--xds-client-ca", xdsClientCa) }),
    },
  };
}

async function openStore(folder: string, narrator: Narrator) {
  const { openStateStore } = await import("../state/store.ts");
  return openStateStore(folder, narrator.log);
}

interface AdminParts {
  readonly plane: ControlPlane;
  readonly source: Source;
  readonly carriers: Carriers;
  readonly narrator: Narrator;
  readonly state: { readonly isRead: boolean; readonly isDraining: boolean };
  /** What happened before the admin server was there to see it. */
  readonly earlier: readonly BatchReport[];
  readonly readiness: OpenInput["readiness"];
}

async function startAdminServer(address: ListenAddress, token: string | undefined, parts: AdminParts): Promise<AdminServer> {
  const { plane, source, carriers, narrator, state, earlier, readiness } = parts;
  const [{ AdminAddressError, startAdmin }, { eventHub }, { metrics }, { batchEvent }] = await Promise.all([
    import("../admin/server.ts"),
    import("../admin/events.ts"),
    import("../admin/metrics.ts"),
    import("../admin/views.ts"),
  ]);
  const current = () => plane.current;
  const events = eventHub();
  const sources = (): SourceView[] => [{ name: source.name, ...(source.health?.() ?? { state: "following", faults: [] }) }];
  const counts = metrics({
    current,
    sources,
    isReady: () => state.isRead && !state.isDraining,
    xds: () => carriers.xds?.metrics,
    traffic: () => carriers.stats(),
  });
  for (const report of earlier) counts.batch(report);
  plane.onBatch((report) => {
    counts.batch(report);
    if (events.hasListeners) events.send(batchEvent(report, current()));
  });
  try {
    return await startAdmin(address, {
      current,
      sources,
      readiness: () => ({ "configuration read": state.isRead, "not draining": !state.isDraining, ...readiness?.() }),
      clients: () => carriers.xds?.clients() ?? [],
      events,
      metrics: counts,
      logging: narrator,
      ...(token !== undefined && { token }),
    });
  } catch (error) {
    if (error instanceof AdminAddressError) throw new CommandError(error.message);
    throw error;
  }
}
