// `headworks proxy`: a data plane by itself, which gets what it serves over xDS; from its start to its drained end.
import { readFileSync } from "node:fs";
import { flushCompileCache } from "node:module";
import { availableParallelism } from "node:os";
import type { AdminServer } from "../admin/server.ts";
import type { Executor, ExecutorOptions } from "../dataplane/workers/executor.ts";
import { TakenPorts } from "../dataplane/workers/taken-ports.ts";
import { formatListenAddress, type ListenAddress } from "../lib/listen-address.ts";
import { packageVersion } from "../lib/package-root.ts";
import { releaseMemory } from "../lib/release-memory.ts";
import { kindOf, typeUrls } from "../model/envoy-resource.ts";
import type { Problem } from "../model/problem.ts";
import type { Logger } from "../plugin/upstream-type.ts";
import { AdsClient } from "../xds-client/client.ts";
import type { AppliedChange } from "../xds-client/intake.ts";
import type { ClientSecurity } from "../xds-client/stream.ts";
import type { NodeIdentity } from "../xds-client/wire.ts";
import { endOnFault } from "./end-on-fault.ts";
import { CommandError, exitCodes } from "./exit.ts";
import { type GatewayUrl, gatewayUrls, samePlaces } from "./gateway-urls.ts";
import { KnownRole } from "./known-role.ts";
import { narrator as newNarrator } from "./narrator.ts";
import { addressOf, readToken } from "./option-values.ts";
import { stopSignal } from "./stop-signal.ts";
import { count } from "./terminal.ts";

export interface ProxyOptions {
  readonly xds?: string;
  readonly role: string;
  readonly nodeId?: string;
  /** 0: as many as there are cores. */
  readonly workers: number;
  readonly admin: string;
  readonly adminTokenFile?: string;
  readonly xdsCa?: string;
  readonly xdsCert?: string;
  readonly xdsKey?: string;
  readonly xdsServerName?: string;
  readonly log: "auto" | "pretty" | "json";
  readonly logLevel: string;
  readonly grace: number;
}

/** Serves until SIGINT or SIGTERM has come and requests in flight are done; resolves with the exit code. */
export async function proxy(options: ProxyOptions): Promise<number> {
  const settings = parseSettings(options);
  const narrator = await newNarrator({ format: options.log, level: options.logLevel, textOf: () => undefined });
  const { log } = narrator;
  await using open = new AsyncDisposableStack();
  let kill = () => {};
  endOnFault(log, () => kill());
  const stop = stopSignal(() => kill());
  const findings = findingBook(log);
  const executor = await startExecutor(settings.workers, {
    log: (level, message) => log[level]({}, message),
    onProblems: (problems) => findings.set(problems),
  });
  kill = () => executor.kill();
  open.defer(() => executor.drain(0));

  const state = { isListening: false, isDraining: false };
  let onListeners = () => {};
  // A port that is taken is refused, so that whoever wrote the Gateway hears of it.
  const role = new KnownRole(new TakenPorts(executor));
  const client = open.use(
    new AdsClient({
      address: settings.xds,
      security: () => securityOf(options),
      node: settings.node,
      taker: role,
      log,
      onChange(change) {
        if (!state.isListening) return;
        log.info({}, `${changeText(change)} in force`);
        if (change.upserts.has(typeUrls.listener) || change.removals.has(typeUrls.listener)) onListeners();
      },
    }),
  );
  const parts = { client, executor, findings, state, isRoleKnown: () => role.unknown === undefined };
  const admin = settings.admin && open.use(await startProxyAdmin(settings.admin, settings.token, parts));
  const where = `xDS ${formatListenAddress(settings.xds)} as ${settings.node.role}`;
  log.info({}, `waiting for ${where}`);
  const running = client.run();
  const listening = client.ready.then(() => executor.settled());
  await Promise.race([listening, stop.first]);
  if (!stop.isAsked) {
    state.isListening = true;
    releaseMemory();
    flushCompileCache();
    const ready = { proxy: nameOf(settings.workers), admin: admin?.url, xds: undefined, watching: [where] };
    let said: readonly GatewayUrl[] | undefined;
    let saidUnknown = "";
    onListeners = () => {
      const unknown = role.unknown ?? "";
      if (unknown !== "" && unknown !== saidUnknown)
        log.error({}, `not ready, the control plane does not know this proxy: ${unknown}; ${roleCure}`);
      saidUnknown = unknown;
      if (unknown !== "") return;
      const [gateways, failures] = [gatewayUrls(client.inForce(typeUrls.listener)), client.state().unbound];
      if (said === undefined) narrator.ready({ ...ready, gateways, failures });
      else if (!samePlaces(gateways, said)) narrator.moved(gateways, failures);
      said = gateways;
    };
    onListeners();
  }
  const reason = await stop.first;
  state.isDraining = true;
  narrator.draining(options.grace);
  // At once: a change that is still being taken does not keep the ports open.
  await Promise.all([client[Symbol.asyncDispose](), running, executor.drain(options.grace * 1000)]);
  return reason === "SIGINT" ? exitCodes.interrupted : exitCodes.ok;
}

const roleCure = "correct --role, or create the Gateway that makes the proxy";

async function startExecutor(workers: number, options: ExecutorOptions): Promise<Executor> {
  if (workers === 1) return (await import("../dataplane/workers/local.ts")).inThisProcess(options);
  const { inProcesses } = await import("../dataplane/workers/pool.ts");
  return inProcesses({ ...options, size: workers, program: process.argv[1] ?? "", args: ["proxy", "worker"] });
}

function nameOf(workers: number): string {
  return `embedded data plane, ${workers === 1 ? "one process" : `${workers} workers`}`;
}

/** `2 Clusters, 1 Listener`, and what went. */
function changeText({ upserts, removals }: AppliedChange): string {
  const kinds = (counts: AppliedChange["upserts"], how: string) =>
    [...counts].map(([typeUrl, number]) => `${count(number, kindOf(typeUrl))}${how}`);
  return [...kinds(upserts, ""), ...kinds(removals, " removed")].join(", ");
}

// — settings —

interface Settings {
  readonly xds: ListenAddress;
  readonly node: NodeIdentity;
  readonly workers: number;
  readonly admin: ListenAddress | undefined;
  readonly token: string | undefined;
}

/** Everything that can be wrong with the options, found before anything starts. */
function parseSettings(options: ProxyOptions): Settings {
  if (options.xds === undefined)
    throw new CommandError("where is the xDS server? `--xds 127.0.0.1:9977`, where `headworks run --proxy none` serves it");
  if (options.role === "") throw new CommandError("--role is namespace~name; it is empty");
  securityOf(options);
  const parts = options.role.split("~");
  const [namespace, name] = parts.length > 1 ? parts.slice(-2) : [undefined, options.role];
  return {
    xds: dialled(addressOf("--xds", options.xds)),
    node: {
      // As Gloo's Envoys have it, and as our bootstrap for Envoys.
      id: options.nodeId ?? (namespace === undefined ? options.role : `${name}.${namespace}`),
      cluster: name ?? options.role,
      role: options.role,
      version: packageVersion,
    },
    workers: options.workers === 0 ? availableParallelism() : options.workers,
    admin: options.admin === "none" ? undefined : addressOf("--admin", options.admin),
    token: options.adminTokenFile === undefined ? undefined : readToken(options.adminTokenFile),
  };
}

/** Where one reaches what listens on all interfaces of this machine. */
function dialled(address: ListenAddress): ListenAddress {
  const isAny = address.kind === "tcp" && (address.host === "::" || address.host === "0.0.0.0");
  return isAny ? { ...address, host: "127.0.0.1", isLoopback: true } : address;
}

function securityOf({ xdsCa, xdsCert, xdsKey, xdsServerName }: ProxyOptions): ClientSecurity | undefined {
  if ((xdsCert === undefined) !== (xdsKey === undefined))
    throw new CommandError("a client certificate needs both --xds-cert and --xds-key");
  if (xdsCa === undefined && xdsCert === undefined && xdsServerName === undefined) return undefined;
  return {
    ...(xdsCa !== undefined && { ca: readPem("--xds-ca", xdsCa) }),
    ...(xdsCert !== undefined &&
      xdsKey !== undefined && { certificate: { cert: readPem("--xds-cert", xdsCert), key: readPem("--xds-key", xdsKey) } }),
    ...(xdsServerName !== undefined && { serverName: xdsServerName }),
  };
}

function readPem(option: string, file: string): Buffer {
  try {
    return readFileSync(file);
  } catch (error) {
    throw new CommandError(`${option} names ${file}, which cannot be read: ${(error as Error).message}`);
  }
}

// — what is said —

interface FindingBook {
  set(problems: readonly Problem[]): void;
  all(): readonly Problem[];
}

/** At most so many lines for one change. */
const mostLines = 20;

/** Says what is new, once. */
function findingBook(log: Logger): FindingBook {
  let all: readonly Problem[] = [];
  let said = new Set<string>();
  return {
    all: () => all,
    set(problems) {
      all = problems;
      const fresh = problems.filter(({ message }) => !said.has(message));
      for (const { severity, code, message } of fresh.slice(0, mostLines)) log[severity === "error" ? "error" : "warn"]({ code }, message);
      if (fresh.length > mostLines) log.warn({}, `… and ${fresh.length - mostLines} more; /api/v1/findings of the admin API has all`);
      said = new Set(problems.map(({ message }) => message));
    },
  };
}

interface AdminParts {
  readonly client: AdsClient;
  readonly executor: Executor;
  readonly findings: FindingBook;
  readonly state: { readonly isListening: boolean; readonly isDraining: boolean };
  readonly isRoleKnown: () => boolean;
}

async function startProxyAdmin(address: ListenAddress, token: string | undefined, parts: AdminParts): Promise<AdminServer> {
  const { client, executor, findings, state, isRoleKnown } = parts;
  const [{ AdminAddressError, serveApp }, { proxyApp }] = await Promise.all([
    import("../admin/server.ts"),
    import("../admin/proxy-app.ts"),
  ]);
  const guarding = token === undefined ? {} : { token };
  const arePortsBound = () => client.state().unbound.length === 0 && !findings.all().some(({ reason }) => reason === "ListenerNotBound");
  try {
    return await serveApp(address, guarding, (hosts) =>
      proxyApp({
        ...guarding,
        hosts,
        // Not that the xDS server is reached: what it sent is served without it.
        readiness: () => ({
          "configuration received": client.state().isReady,
          "role known to the control plane": isRoleKnown(),
          listening: state.isListening,
          // Who asks sends requests to all ports of it.
          "all ports bound": arePortsBound(),
          "not draining": !state.isDraining,
        }),
        stats: () => executor.stats(),
        gauges: () => ({
          headworks_ready: state.isListening && isRoleKnown() && arePortsBound() && !state.isDraining ? 1 : 0,
          headworks_xds_connected: client.state().isConnected ? 1 : 0,
          headworks_xds_refused_resources: client.state().refused,
          headworks_workers: executor.workers().length,
        }),
        listeners: () => executor.listeners(),
        workers: () => executor.workers(),
        xds: () => client.state(),
        findings: findings.all,
      }),
    );
  } catch (error) {
    if (error instanceof AdminAddressError) throw new CommandError(error.message);
    throw error;
  }
}
