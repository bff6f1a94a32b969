// The embedded data plane: executes the Envoy resources of one proxy in this process, the very bytes that Envoys get. `publish` compiles what changed
// and puts it in service in one step; requests under way finish on what they began with. What it does not execute it reports, field by field.
// It does not translate, does not judge configuration, and does not speak xDS.

import { createWriteStream, type WriteStream } from "node:fs";
import { createSecureContext } from "node:tls";
import { fromBinary } from "@bufbuild/protobuf";
import { SecretSchema } from "../gen/envoy/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import type { EnvoyResource, ProxyKey, ResourceChanges, ResourceConsumer } from "../model/envoy-resource.ts";
import { typeUrls } from "../model/envoy-resource.ts";
import { type Problem, problem } from "../model/problem.ts";
import { parseResourceKey, type ResourceKey } from "../model/ref.ts";
import { type CompiledCluster, compileCluster, compileLoadAssignment } from "./compile/cluster.ts";
import type { EndpointSet } from "./compile/endpoints.ts";
import { type Finding, Findings } from "./compile/findings.ts";
import { addressKey, type CompiledListener, compileListener, type ListenAddress } from "./compile/listener.ts";
import { type CompiledRouteConfig, compileRouteConfig } from "./compile/route-config.ts";
import { compileCertificate, compileValidation, type Material, type Validation } from "./compile/upstream-tls.ts";
import type { Tables } from "./exchange/tables.ts";
import { ListeningSocket } from "./socket.ts";
import { ClusterRuntime } from "./upstream/cluster.ts";

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
}

export interface ListenerInfo {
  readonly name: string;
  readonly address: string;
  /** The port that it is bound to; the one asked for while it is not. */
  readonly port: number;
  readonly state: "binding" | "bound" | "failed" | "not served";
  readonly error?: string;
}

export interface DataPlaneOptions {
  readonly proxy: ProxyKey;
  /** Called after a change of {@link DataPlane.unsupported}. */
  readonly onProblems?: (problems: readonly Problem[]) => void;
  readonly log?: (level: "info" | "warn" | "error", message: string) => void;
  /** Puts a listener somewhere else: tests bind port 0. */
  readonly bindOverride?: (listener: string, address: ListenAddress) => ListenAddress;
}

interface Entry<T> {
  readonly resource: EnvoyResource;
  readonly compiled: T;
}

export function createDataPlane(options: DataPlaneOptions): DataPlane {
  return new EmbeddedDataPlane(options);
}

class EmbeddedDataPlane implements DataPlane, Tables {
  readonly #options: DataPlaneOptions;
  readonly #clusters = new Map<string, Entry<CompiledCluster>>();
  readonly #endpoints = new Map<string, Entry<EndpointSet>>();
  readonly #routes = new Map<string, Entry<CompiledRouteConfig>>();
  readonly #listeners = new Map<string, Entry<CompiledListener>>();
  readonly #secrets = new Map<string, { certificate?: Material | undefined; validation?: Validation | undefined }>();
  readonly #runtimes = new Map<string, ClusterRuntime>();
  /** By address. */
  readonly #sockets = new Map<string, ListeningSocket>();
  readonly #closing = new Set<ListeningSocket>();
  readonly #problems = new Map<string, readonly Problem[]>();
  readonly #logs = new Map<string, WriteStream>();
  #settling: (() => void)[] = [];
  #isDraining = false;

  constructor(options: DataPlaneOptions) {
    this.#options = options;
  }

  publish(proxy: ProxyKey, changes: ResourceChanges): void {
    if (proxy !== this.#options.proxy || this.#isDraining) return;
    const before = this.#problemCount;
    const changedEndpoints = new Set<string>();
    const changedClusters = new Set<string>();
    let isListenerChanged = false;
    let isSecretChanged = false;
    for (const resource of changes.upserts) {
      switch (resource.typeUrl) {
        case typeUrls.cluster:
          if (this.#compile(this.#clusters, resource, () => compileCluster(resource.bytes))) changedClusters.add(resource.name);
          break;
        case typeUrls.endpoint:
          if (this.#compileEndpoints(resource)) changedEndpoints.add(resource.name);
          break;
        case typeUrls.route:
          this.#compile(this.#routes, resource, () => compileRouteConfig(resource.bytes, this.#routes.get(resource.name)?.compiled));
          break;
        case typeUrls.listener:
          if (this.#compile(this.#listeners, resource, () => compileListener(resource.bytes, this.#listeners.get(resource.name)?.compiled)))
            isListenerChanged = true;
          break;
        case typeUrls.secret:
          this.#compileSecret(resource);
          isSecretChanged = true;
          break;
        default: // runtime layers and what may come: nothing of them is executed
          this.#note(resource, [
            {
              reason: "EnvoyFieldNotExecuted",
              path: resource.typeUrl,
              message: `the embedded data plane does not execute ${resource.typeUrl}`,
              hint: "",
            },
          ]);
      }
    }
    for (const removal of changes.removals) {
      this.#problems.delete(`${removal.typeUrl} ${removal.name}`);
      if (removal.typeUrl === typeUrls.cluster && this.#clusters.delete(removal.name)) changedClusters.add(removal.name);
      else if (removal.typeUrl === typeUrls.endpoint) this.#endpoints.delete(removal.name);
      else if (removal.typeUrl === typeUrls.route) this.#routes.delete(removal.name);
      else if (removal.typeUrl === typeUrls.secret) this.#secrets.delete(removal.name);
      else if (removal.typeUrl === typeUrls.listener && this.#listeners.delete(removal.name)) isListenerChanged = true;
    }
    this.#applyClusters(changedClusters, changedEndpoints, isSecretChanged);
    if (isListenerChanged) this.#applyListeners();
    if (before !== this.#problemCount || changes.upserts.length > 0) this.#options.onProblems?.(this.unsupported());
  }

  retire(proxy: ProxyKey): void {
    if (proxy !== this.#options.proxy) return;
    this.#listeners.clear();
    this.#routes.clear();
    const all = new Set(this.#clusters.keys());
    this.#clusters.clear();
    this.#endpoints.clear();
    this.#problems.clear();
    this.#applyListeners();
    this.#applyClusters(all, new Set(), false);
    this.#options.onProblems?.([]);
  }

  // — compiling —

  /** False when the resource is unchanged, or unreadable: then the version before stays. */
  #compile<T extends { readonly findings: readonly Finding[] }>(
    map: Map<string, Entry<T>>,
    resource: EnvoyResource,
    compile: () => T,
  ): boolean {
    if (map.get(resource.name)?.resource.version === resource.version) return false;
    try {
      const compiled = compile();
      map.set(resource.name, { resource, compiled });
      this.#note(resource, compiled.findings);
      return true;
    } catch (error) {
      this.#unreadable(resource, error);
      return false;
    }
  }

  #compileEndpoints(resource: EnvoyResource): boolean {
    if (this.#endpoints.get(resource.name)?.resource.version === resource.version) return false;
    try {
      const { set, findings } = compileLoadAssignment(resource.bytes);
      this.#endpoints.set(resource.name, { resource, compiled: set });
      this.#note(resource, findings);
      return true;
    } catch (error) {
      this.#unreadable(resource, error);
      return false;
    }
  }

  #compileSecret(resource: EnvoyResource): void {
    try {
      const secret = fromBinary(SecretSchema, resource.bytes);
      const findings = new Findings();
      const type = secret.type;
      if (type.case === "tlsCertificate") this.#secrets.set(resource.name, { certificate: usable(compileCertificate(type.value)) });
      else if (type.case === "validationContext") this.#secrets.set(resource.name, { validation: compileValidation(type.value, findings) });
      else if (type.case !== undefined) findings.notExecuted(type.case);
      this.#note(resource, findings.all);
    } catch (error) {
      this.#unreadable(resource, error);
    }
  }

  #unreadable(resource: EnvoyResource, error: unknown): void {
    const message = `${resource.typeUrl.slice(resource.typeUrl.lastIndexOf(".") + 1)} ${resource.name}: ${(error as Error).message}`;
    this.#log("error", message);
    this.#note(resource, [{ reason: "EnvoyResourceUnreadable", path: "", message, hint: "" }]);
  }

  /** Findings become Problems on the owners that they are about. */
  #note(resource: EnvoyResource, findings: readonly Finding[]): void {
    const key = `${resource.typeUrl} ${resource.name}`;
    if (findings.length === 0) {
      this.#problems.delete(key);
      return;
    }
    const kind = resource.typeUrl.slice(resource.typeUrl.lastIndexOf(".") + 1);
    const problems: Problem[] = [];
    for (const finding of findings) {
      const owners = ownersOf(resource.owners, finding.hint);
      const severity = finding.reason === "EnvoyResourceUnreadable" ? "error" : "warning";
      const message = `${finding.message} (Envoy's ${kind} ${resource.name})`;
      const hint = finding.reason === "EnvoyFieldNotExecuted" ? { hint: "run with --proxy envoy to have it executed" } : {};
      if (owners.length === 0) problems.push(problem(severity, undefined, finding.reason, message, hint));
      for (const owner of owners) problems.push(problem(severity, owner, finding.reason, message, hint));
    }
    this.#problems.set(key, problems);
  }

  get #problemCount(): number {
    let count = 0;
    for (const problems of this.#problems.values()) count += problems.length;
    return count;
  }

  // — putting in service —

  #applyClusters(clusters: ReadonlySet<string>, endpoints: ReadonlySet<string>, isSecretChanged: boolean): void {
    for (const name of clusters) {
      const compiled = this.#clusters.get(name)?.compiled;
      const runtime = this.#runtimes.get(name);
      if (compiled === undefined) {
        runtime?.retire();
        this.#runtimes.delete(name);
        this.#problems.delete(`dns ${name}`);
        continue;
      }
      const eds = this.#endpoints.get(compiled.serviceName)?.compiled;
      if (runtime !== undefined) runtime.configure(compiled, eds);
      else
        this.#runtimes.set(
          name,
          new ClusterRuntime(compiled, eds, { secret: (secret) => this.#secrets.get(secret), onDns: (...args) => this.#onDns(...args) }),
        );
    }
    for (const name of endpoints) {
      const set = this.#endpoints.get(name)?.compiled;
      if (set === undefined) continue;
      const direct = this.#runtimes.get(name);
      if (direct !== undefined && direct.config.serviceName === name) {
        if (!clusters.has(name)) direct.setEndpoints(set);
        continue;
      }
      for (const runtime of this.#runtimes.values()) if (runtime.config.serviceName === name) runtime.setEndpoints(set);
    }
    if (isSecretChanged) for (const runtime of this.#runtimes.values()) runtime.refreshSecrets();
  }

  #onDns(cluster: string, failure: string | undefined): void {
    const key = `dns ${cluster}`;
    if (failure === undefined) this.#problems.delete(key);
    else {
      const owners = this.#clusters.get(cluster)?.resource.owners ?? [];
      const message = `cluster ${cluster}: ${failure}`;
      this.#problems.set(
        key,
        owners.map((owner) => problem("warning", owner, "DnsNotResolved", message)),
      );
    }
    this.#options.onProblems?.(this.unsupported());
  }

  #applyListeners(): void {
    const wanted = new Map<string, { address: ListenAddress; listener: CompiledListener }>();
    for (const { compiled } of this.#listeners.values()) {
      if (compiled.address === undefined || compiled.chains === undefined) continue;
      const address = this.#options.bindOverride?.(compiled.name, compiled.address) ?? compiled.address;
      // Port 0 is another port each time: such sockets belong to their listener.
      const key = address.kind === "tcp" && address.port === 0 ? `${addressKey(address)} ${compiled.name}` : addressKey(address);
      if (!wanted.has(key)) wanted.set(key, { address, listener: compiled });
      this.#socketOf.set(compiled.name, key);
    }
    for (const [key, socket] of this.#sockets) {
      if (wanted.has(key)) continue;
      this.#sockets.delete(key);
      this.#problems.delete(`socket ${key}`);
      this.#closing.add(socket);
      socket.close();
      void socket.empty().then(() => this.#closing.delete(socket));
    }
    for (const [key, { address, listener }] of wanted) {
      const known = this.#sockets.get(key);
      if (known !== undefined) {
        known.chains = listener.chains;
        continue;
      }
      const socket = new ListeningSocket(address, listener.chains, listener.backlog, {
        tables: this,
        secret: (secret) => this.#secrets.get(secret),
        writeLog: (path, line) => this.#writeLog(path, line),
        onChange: (changed) => this.#onSocket(key, changed),
      });
      this.#sockets.set(key, socket);
      socket.bind();
    }
  }

  readonly #socketOf = new Map<string, string>();

  #onSocket(key: string, socket: ListeningSocket): void {
    if (this.#sockets.get(key) !== socket) return;
    const problemKey = `socket ${key}`;
    if (socket.state === "failed") {
      const entry = [...this.#listeners.values()].find(({ compiled }) => this.#socketOf.get(compiled.name) === key);
      const message = `listener ${entry?.compiled.name}: cannot listen on ${label(socket)}: ${socket.error?.code ?? socket.error?.message}`;
      if (!this.#problems.has(problemKey)) this.#log("warn", message);
      const owners = entry?.resource.owners ?? [];
      const isNew = !this.#problems.has(problemKey);
      this.#problems.set(
        problemKey,
        (owners.length > 0 ? owners : [undefined]).map((owner) =>
          problem("error", owner, "ListenerNotBound", message, { hint: bindHint(socket.error?.code) }),
        ),
      );
      if (isNew) this.#options.onProblems?.(this.unsupported());
    } else if (this.#problems.delete(problemKey)) {
      this.#log("info", `listening on ${label(socket)} after all`);
      this.#options.onProblems?.(this.unsupported());
    }
    this.#checkSettled();
  }

  // — what requests ask —

  routeConfig(name: string): CompiledRouteConfig | undefined {
    return this.#routes.get(name)?.compiled;
  }

  cluster(name: string): ClusterRuntime | undefined {
    return this.#runtimes.get(name);
  }

  #writeLog(path: string, line: string): void {
    if (path === "/dev/stdout") process.stdout.write(line);
    else if (path === "/dev/stderr") process.stderr.write(line);
    else {
      let stream = this.#logs.get(path);
      if (stream === undefined) {
        stream = createWriteStream(path, { flags: "a" });
        stream.on("error", (error) => this.#log("warn", `access log ${path}: ${error.message}`));
        this.#logs.set(path, stream);
      }
      // A disk that does not keep up costs log lines, not memory.
      if (stream.writableLength < 16_777_216) stream.write(line, "latin1");
    }
  }

  // — what operators ask —

  listeners(): readonly ListenerInfo[] {
    return [...this.#listeners.values()].map(({ compiled }): ListenerInfo => {
      const { address, name } = compiled;
      const text = address === undefined ? "" : address.kind === "pipe" ? address.path : address.host;
      const port = address?.kind === "tcp" ? address.port : 0;
      if (address === undefined || compiled.chains === undefined) {
        return { name, address: text, port, state: "not served", error: "no filter chain that the embedded data plane executes" };
      }
      const socket = this.#sockets.get(this.#socketOf.get(name) ?? "");
      const state = socket === undefined || socket.state === "closed" ? "failed" : socket.state;
      return { name, address: text, port: socket?.port || port, state, ...(socket?.error && { error: socket.error.message }) };
    });
  }

  unsupported(): readonly Problem[] {
    return [...this.#problems.values()].flat();
  }

  stats(): Readonly<Record<string, number>> {
    const all: Record<string, number> = {};
    for (const [name, runtime] of this.#runtimes) {
      for (const [key, value] of Object.entries(runtime.stats)) all[`cluster.${name}.${key}`] = value;
      all[`cluster.${name}.upstream_rq_active`] = runtime.requests;
      all[`cluster.${name}.upstream_cx_active`] = runtime.connections;
      all[`cluster.${name}.upstream_rq_pending_active`] = runtime.pending;
      all[`cluster.${name}.membership_total`] = runtime.hosts.length;
      all[`cluster.${name}.membership_healthy`] = runtime.hosts.filter((host) => host.spec.isHealthy).length;
    }
    for (const socket of this.#sockets.values()) {
      const prefix = (socket.chains?.matched[0] ?? socket.chains?.fallback)?.hcm.statPrefix ?? "";
      for (const [key, value] of Object.entries(socket.stats))
        all[`http.${prefix}.${key}`] = (all[`http.${prefix}.${key}`] ?? 0) + (value as number);
    }
    all["listener_manager.total_listeners_active"] = [...this.#sockets.values()].filter((socket) => socket.state === "bound").length;
    return all;
  }

  settled(): Promise<void> {
    return new Promise((resolve) => {
      this.#settling.push(resolve);
      this.#checkSettled();
    });
  }

  #checkSettled(): void {
    for (const socket of this.#sockets.values()) if (socket.state === "binding") return;
    for (const resolve of this.#settling.splice(0)) resolve();
  }

  async drain(deadlineMs: number): Promise<void> {
    this.#isDraining = true;
    const sockets = [...this.#sockets.values(), ...this.#closing];
    for (const socket of sockets) socket.close();
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, deadlineMs);
    });
    await Promise.race([Promise.all(sockets.map((socket) => socket.empty())), deadline]);
    clearTimeout(timer);
    for (const socket of sockets) socket.destroy();
    await Promise.all(sockets.map((socket) => socket.empty()));
    for (const runtime of this.#runtimes.values()) runtime.destroy();
    await Promise.all([...this.#logs.values()].map((stream) => new Promise<void>((resolve) => stream.end(() => resolve()))));
    this.#logs.clear();
    for (const resolve of this.#settling.splice(0)) resolve();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.drain(0);
  }

  #log(level: "info" | "warn" | "error", message: string): void {
    this.#options.log?.(level, message);
  }
}

/** Throws for a certificate that node:tls does not take: then the one before stays. */
function usable(material: Material | undefined): Material | undefined {
  if (material !== undefined) createSecureContext({ cert: material.certificate, key: material.key });
  return material;
}

/** Those owners whose name is in the name of the virtual host or route; all of them where that tells nothing. */
function ownersOf(owners: readonly ResourceKey[], hint: string): readonly ResourceKey[] {
  if (hint === "" || owners.length <= 1) return owners;
  const named = owners.filter((owner) => {
    const { ref } = parseResourceKey(owner);
    return hint.includes(ref.name) && hint.includes(ref.namespace);
  });
  return named.length > 0 ? named : owners;
}

function label({ address }: ListeningSocket): string {
  return address.kind === "pipe"
    ? address.path
    : address.host.includes(":")
      ? `[${address.host}]:${address.port}`
      : `${address.host}:${address.port}`;
}

function bindHint(code: string | undefined): string {
  switch (code) {
    case "EADDRINUSE":
      return "another process listens there; stop it or choose another port; it is tried again";
    case "EACCES":
      return "ports below 1024 need privileges; choose a higher one; it is tried again";
    case "EADDRNOTAVAIL":
      return "no interface of this machine has that address; it is tried again";
    default:
      return "it is tried again";
  }
}
