// The embedded data plane: executes the Envoy resources of one proxy in this process, the very bytes that Envoys get. `publish` compiles what changed
// and puts it in service in one step; requests under way finish on what they began with. What it does not execute it reports, field by field.
// It does not translate, does not judge configuration, and does not speak xDS.

import type { EnvoyResource, ProxyKey, ResourceChanges, ResourceConsumer } from "../model/envoy-resource.ts";
import { kindOf, resourceKeyOf, typeUrls } from "../model/envoy-resource.ts";
import { type Problem, problem } from "../model/problem.ts";
import type { ResourceKey } from "../model/ref.ts";
import { AccessLogFiles } from "./access-log-files.ts";
import { compileCluster, compileLoadAssignment } from "./compile/cluster.ts";
import type { ListenAddress } from "./compile/listener.ts";
import { compileListener } from "./compile/listener.ts";
import { type CompiledRouteConfig, compileRouteConfig } from "./compile/route-config.ts";
import type { SecretSource } from "./compile/secret-source.ts";
import { type CompilationListener, CompiledResources } from "./compiled-resources.ts";
import type { Tables } from "./exchange/tables.ts";
import { type ListenerInfo, ListeningSockets } from "./listening-sockets.ts";
import { Outages } from "./outages.ts";
import { ownersOfListener, ProblemBook } from "./problems.ts";
import { SdsSecrets } from "./sds/sds-secrets.ts";
import { compileSecret, type PublishedSecret } from "./secrets.ts";
import type { Listen } from "./socket.ts";
import { Telemetry } from "./telemetry.ts";
import { ClusterRuntime } from "./upstream/cluster.ts";

export type { ListenerInfo };

export interface DataPlane extends ResourceConsumer, AsyncDisposable {
  listeners(): readonly ListenerInfo[];
  /** Warnings that name the Envoy fields which are not executed, on the resources that they come from; and listeners that do not bind. */
  unsupported(): readonly Problem[];
  /** Counters and gauges under Envoy's names: `cluster.<name>.upstream_rq_total`. */
  stats(): Readonly<Record<string, number>>;
  /** The compiled routes of a route configuration, for `explain`. */
  routeConfig(name: string): CompiledRouteConfig | undefined;
  /** Listens no more, finishes what is under way, and cuts what is left at the deadline. */
  drain(deadlineMs: number): Promise<void>;
  /** Resolves when every published listener is bound or has failed to bind. */
  settled(): Promise<void>;
  /** Why the resource could not be taken; undefined: it could. Nothing is changed. */
  check(resource: EnvoyResource): string | undefined;
}

export interface DataPlaneOptions {
  readonly proxy: ProxyKey;
  /** Called after a change of {@link DataPlane.unsupported}. */
  readonly onProblems?: (problems: readonly Problem[]) => void;
  readonly log?: (level: "info" | "warn" | "error", message: string) => void;
  /** A resource that was published cannot be taken; the version before stays. Called while it is published. */
  readonly onRefused?: (resource: EnvoyResource, reason: string) => void;
  /** Binds sockets, where it is not this process that does. */
  readonly listen?: Listen;
  /** Puts a listener somewhere else: tests bind port 0. */
  readonly bindOverride?: (listener: string, address: ListenAddress) => ListenAddress;
}

/** How long the end waits until collectors have what is left. */
const lastReportsMs = 1_000;

export function createDataPlane(options: DataPlaneOptions): DataPlane {
  return new EmbeddedDataPlane(options);
}

/** What a batch of changes touched. */
interface Touched {
  readonly clusters: Set<string>;
  readonly endpoints: Set<string>;
  isListener: boolean;
}

class EmbeddedDataPlane implements DataPlane, Tables, CompilationListener {
  readonly #options: DataPlaneOptions;
  readonly #problems = new ProblemBook();
  readonly #clusters = new CompiledResources(({ bytes }) => compileCluster(bytes), this);
  readonly #endpoints = new CompiledResources(({ bytes }) => compileLoadAssignment(bytes), this);
  readonly #routes = new CompiledResources(({ bytes }, before: CompiledRouteConfig | undefined) => compileRouteConfig(bytes, before), this);
  readonly #listeners = new CompiledResources<ReturnType<typeof compileListener>>(
    ({ bytes }, before) => compileListener(bytes, before),
    this,
  );
  readonly #secrets = new Map<string, PublishedSecret>();
  readonly #sds: SdsSecrets;
  readonly #runtimes = new Map<string, ClusterRuntime>();
  /** By the name that endpoints come under. */
  readonly #clustersOfService = new Map<string, Set<string>>();
  readonly #logs = new AccessLogFiles((path, failure) => this.#onLogFile(path, failure));
  /** By path, why. */
  readonly #failedLogs = new Map<string, string>();
  readonly outages = new Outages((level, message) => this.#log(level, message));
  readonly telemetry = new Telemetry(
    (name) => this.cluster(name),
    (level, message) => this.#log(level, message),
  );
  readonly #sockets: ListeningSockets;
  readonly #startedAt = Date.now();
  #isDraining = false;

  constructor(options: DataPlaneOptions) {
    this.#options = options;
    this.#sds = new SdsSecrets(options.proxy, { onProblem: (source, failure) => this.#onSdsProblem(source, failure) });
    this.#sockets = new ListeningSockets({
      tables: this,
      secret: (name) => this.#secret(name),
      writeLog: (path, line) => this.#logs.write(path, line),
      problems: this.#problems,
      bindOverride: options.bindOverride,
      listen: options.listen,
      log: (level, message) => this.#log(level, message),
      onProblems: () => this.#tellProblems(),
    });
  }

  publish(proxy: ProxyKey, changes: ResourceChanges): void {
    if (proxy !== this.#options.proxy || this.#isDraining) return;
    const before = this.#problems.count;
    const touched: Touched = { clusters: new Set(), endpoints: new Set(), isListener: false };
    for (const resource of changes.upserts) this.#upsert(resource, touched);
    for (const removal of changes.removals) this.#remove(removal, touched);
    if (touched.isListener || touched.clusters.size > 0) this.#followSecrets();
    this.#applyClusters(touched);
    if (touched.isListener) this.#sockets.apply([...this.#listeners.entries()]);
    if (touched.isListener) this.#followLogs();
    if (before !== this.#problems.count || changes.upserts.length > 0) this.#tellProblems();
  }

  #upsert(resource: EnvoyResource, touched: Touched): void {
    switch (resource.typeUrl) {
      case typeUrls.cluster:
        if (this.#clusters.upsert(resource)) touched.clusters.add(resource.name);
        break;
      case typeUrls.endpoint:
        if (this.#endpoints.upsert(resource)) touched.endpoints.add(resource.name);
        break;
      case typeUrls.route:
        this.#routes.upsert(resource);
        break;
      case typeUrls.listener:
        if (this.#listeners.upsert(resource)) touched.isListener = true;
        break;
      case typeUrls.secret:
        this.#upsertSecret(resource);
        break;
      default: {
        // runtime layers and what may come: nothing of them is executed
        const message = `the embedded data plane does not execute ${resource.typeUrl}`;
        this.#problems.note(resource, [{ reason: "EnvoyFieldNotExecuted", path: resource.typeUrl, message, hint: "" }]);
      }
    }
  }

  #upsertSecret(resource: EnvoyResource): void {
    try {
      const { secret, findings } = compileSecret(resource);
      if (secret !== undefined) this.#secrets.set(resource.name, secret);
      this.#problems.note(resource, findings);
    } catch (error) {
      this.onUnreadable(resource, error);
    }
  }

  check(resource: EnvoyResource): string | undefined {
    try {
      compileResource(resource);
      return undefined;
    } catch (error) {
      return (error as Error).message;
    }
  }

  #remove(removal: ResourceChanges["removals"][number], touched: Touched): void {
    this.#problems.delete(resourceKeyOf(removal));
    switch (removal.typeUrl) {
      case typeUrls.cluster:
        if (this.#clusters.delete(removal.name)) touched.clusters.add(removal.name);
        break;
      case typeUrls.endpoint:
        this.#endpoints.delete(removal.name);
        break;
      case typeUrls.route:
        this.#routes.delete(removal.name);
        break;
      case typeUrls.secret:
        this.#secrets.delete(removal.name);
        break;
      case typeUrls.listener:
        if (this.#listeners.delete(removal.name)) touched.isListener = true;
        break;
    }
  }

  retire(proxy: ProxyKey): void {
    if (proxy !== this.#options.proxy) return;
    const clusters = new Set(this.#clusters.names());
    for (const table of [this.#listeners, this.#routes, this.#clusters, this.#endpoints]) table.clear();
    // Private keys are not kept for longer than somebody serves with them.
    this.#secrets.clear();
    this.#followSecrets();
    this.#problems.clear();
    this.#sockets.apply([]);
    this.#followLogs();
    this.#applyClusters({ clusters, endpoints: new Set(), isListener: false });
    this.#options.onProblems?.([]);
  }

  onCompiled(resource: EnvoyResource, findings: Parameters<ProblemBook["note"]>[1]): void {
    this.#problems.note(resource, findings);
  }

  onUnreadable(resource: EnvoyResource, error: unknown): void {
    const reason = (error as Error).message;
    this.#options.onRefused?.(resource, reason);
    const message = `${kindOf(resource.typeUrl)} ${resource.name}: ${reason}`;
    this.#log("error", message);
    this.#problems.note(resource, [{ reason: "EnvoyResourceUnreadable", path: "", message, hint: "" }]);
  }

  // — clusters in service —

  #applyClusters({ clusters, endpoints }: Touched): void {
    for (const name of clusters) this.#applyCluster(name);
    for (const name of endpoints) this.#applyEndpoints(name, clusters);
  }

  #applyCluster(name: string): void {
    const compiled = this.#clusters.get(name);
    const runtime = this.#runtimes.get(name);
    this.#followService(name, runtime?.config.serviceName, compiled?.serviceName);
    if (compiled === undefined) {
      runtime?.retire();
      this.#runtimes.delete(name);
      this.#problems.delete(`dns ${name}`);
      return;
    }
    const eds = this.#endpoints.get(compiled.serviceName)?.set;
    if (runtime !== undefined) runtime.configure(compiled, eds);
    else {
      const environment = {
        secret: (secret: string) => this.#secret(secret),
        onDns: (cluster: string, failure: string | undefined) => this.#onDns(cluster, failure),
      };
      this.#runtimes.set(name, new ClusterRuntime(compiled, eds, environment));
    }
  }

  #applyEndpoints(name: string, changedClusters: ReadonlySet<string>): void {
    const set = this.#endpoints.get(name)?.set;
    if (set === undefined) return;
    for (const cluster of this.#clustersOfService.get(name) ?? [])
      if (!changedClusters.has(cluster)) this.#runtimes.get(cluster)?.setEndpoints(set);
  }

  /** Several clusters may have the same endpoints, in their own ways. */
  #followService(cluster: string, before: string | undefined, now: string | undefined): void {
    if (before === now) return;
    if (before !== undefined) {
      const others = this.#clustersOfService.get(before);
      others?.delete(cluster);
      if (others?.size === 0) this.#clustersOfService.delete(before);
    }
    if (now === undefined) return;
    const known = this.#clustersOfService.get(now);
    if (known === undefined) this.#clustersOfService.set(now, new Set([cluster]));
    else known.add(cluster);
  }

  #onDns(cluster: string, failure: string | undefined): void {
    const key = `dns ${cluster}`;
    if (failure === undefined) this.#problems.delete(key);
    else {
      const owners = this.#clusters.entry(cluster)?.resource.owners ?? [];
      const message = `cluster ${cluster}: ${failure}`;
      this.#problems.set(key, problemsOn(owners, "DnsNotResolved", message));
    }
    this.#tellProblems();
  }

  // — secrets —

  #secret(key: string): PublishedSecret | undefined {
    return this.#secrets.get(key) ?? this.#sds.get(key);
  }

  /** Those of the users' own servers that are named now. */
  #followSecrets(): void {
    const wanted = new Map<string, SecretSource>();
    for (const table of [this.#clusters, this.#listeners])
      for (const { compiled } of table.entries()) for (const source of compiled.secretSources) wanted.set(source.key, source);
    for (const key of this.#sds.follow(wanted)) this.#problems.delete(key);
  }

  #onSdsProblem({ key }: SecretSource, failure: string | undefined): void {
    if (failure === undefined) this.#problems.delete(key);
    else {
      const owners = new Set<ResourceKey>();
      for (const table of [this.#clusters, this.#listeners])
        for (const { resource, compiled } of table.entries())
          if (compiled.secretSources.some((source) => source.key === key)) for (const owner of resource.owners) owners.add(owner);
      this.#problems.set(key, problemsOn([...owners], "SecretNotReceived", failure));
    }
    this.#tellProblems();
  }

  // — access logs —

  #followLogs(): void {
    const paths = new Set([...this.#listeners.entries()].flatMap(({ compiled }) => compiled.logPaths));
    for (const path of this.#failedLogs.keys()) if (!paths.has(path)) this.#failedLogs.delete(path);
    this.#logs.follow(paths);
    this.#noteLogs();
  }

  #onLogFile(path: string, failure: string | undefined): void {
    if (failure === undefined) this.#failedLogs.delete(path);
    else this.#failedLogs.set(path, failure);
    this.#noteLogs();
    this.#tellProblems();
  }

  /** Each is told to those who write it now. */
  #noteLogs(): void {
    const listeners = [...this.#listeners.entries()];
    const problems = [...this.#failedLogs].flatMap(([path, failure]) => {
      const writers = listeners.filter(({ compiled }) => compiled.logPaths.includes(path));
      const owners = new Set(writers.flatMap(({ resource }) => ownersOfListener(resource)));
      const message = `access log ${path}: ${failure}; its lines are lost`;
      return [...owners].map((owner) => problem("warning", owner, "AccessLogNotWritten", message));
    });
    this.#problems.set("access logs", problems);
  }

  // — what requests ask —

  routeConfig(name: string): CompiledRouteConfig | undefined {
    return this.#routes.get(name);
  }

  cluster(name: string): ClusterRuntime | undefined {
    return this.#runtimes.get(name);
  }

  // — what operators ask —

  listeners(): readonly ListenerInfo[] {
    return this.#sockets.info();
  }

  unsupported(): readonly Problem[] {
    return this.#problems.all();
  }

  stats(): Readonly<Record<string, number>> {
    const all: Record<string, number> = {};
    for (const [name, runtime] of this.#runtimes) {
      if (!runtime.isUsed) continue;
      for (const [key, value] of Object.entries(runtime.allStats())) all[`cluster.${name}.${key}`] = value;
    }
    const sockets = this.#sockets.stats();
    return {
      ...all,
      ...sockets,
      ...this.telemetry.stats(),
      "server.live": this.#isDraining ? 0 : 1,
      "server.uptime": Math.floor((Date.now() - this.#startedAt) / 1_000),
      "server.total_connections": this.#sockets.connections,
    };
  }

  settled(): Promise<void> {
    return this.#sockets.settled();
  }

  async drain(deadlineMs: number): Promise<void> {
    this.#isDraining = true;
    await this.#sockets.drain(deadlineMs);
    this.#sds.close();
    await this.telemetry.close(lastReportsMs);
    for (const runtime of this.#runtimes.values()) runtime.destroy();
    await this.#logs.close();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain(0);
  }

  #tellProblems(): void {
    this.#options.onProblems?.(this.unsupported());
  }

  #log(level: "info" | "warn" | "error", message: string): void {
    this.#options.log?.(level, message);
  }
}

function compileResource(resource: EnvoyResource): unknown {
  switch (resource.typeUrl) {
    case typeUrls.cluster:
      return compileCluster(resource.bytes);
    case typeUrls.endpoint:
      return compileLoadAssignment(resource.bytes);
    case typeUrls.route:
      return compileRouteConfig(resource.bytes, undefined);
    case typeUrls.listener:
      return compileListener(resource.bytes, undefined);
    case typeUrls.secret:
      return compileSecret(resource);
    default:
      return undefined;
  }
}

/** A Warning on each owner; on nobody, where there is none. */
function problemsOn(owners: readonly ResourceKey[], reason: "DnsNotResolved" | "SecretNotReceived", message: string): Problem[] {
  return (owners.length > 0 ? owners : [undefined]).map((owner) => problem("warning", owner, reason, message));
}
