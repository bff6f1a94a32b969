// A cluster in service: its hosts, who gets the next request, and its limits. It outlives changes of its configuration, so that an edit
// neither drops connections that are still right nor forgets what is under way.

import { Balancer } from "../balancing/balancer.ts";
import type { PickContext } from "../balancing/candidate.ts";
import { Positions } from "../balancing/positions.ts";
import { SubsetBalancer } from "../balancing/subsets.ts";
import type { CompiledCluster, Transport } from "../compile/cluster.ts";
import { type EndpointSet, type EndpointSpec, noEndpoints } from "../compile/endpoints.ts";
import type { CompiledHealthCheck } from "../compile/health-checks.ts";
import { ResponseCounts } from "../response-counts.ts";
import { HealthChecks } from "./health/checks.ts";
import { Host } from "./host.ts";
import { type Outcome, OutlierDetector } from "./outliers.ts";
import { type Resolution, resolveEndpoints } from "./resolve.ts";
import { type SecretLookup, TlsClient, tlsVersion } from "./tls.ts";

export class ClusterStats {
  upstream_rq_total = 0;
  upstream_rq_timeout = 0;
  upstream_rq_per_try_timeout = 0;
  upstream_rq_retry = 0;
  upstream_rq_retry_success = 0;
  upstream_rq_retry_overflow = 0;
  upstream_rq_pending_total = 0;
  upstream_rq_pending_overflow = 0;
  upstream_rq_rx_reset = 0;
  upstream_rq_tx_reset = 0;
  upstream_cx_total = 0;
  upstream_cx_destroy = 0;
  upstream_cx_connect_fail = 0;
  upstream_cx_connect_timeout = 0;
  upstream_cx_overflow = 0;
  upstream_cx_none_healthy = 0;
}

/** Of connections that are passed on as they are. */
class TcpUpstreamStats {
  upstream_cx_rx_bytes_total = 0;
  upstream_cx_tx_bytes_total = 0;
  upstream_cx_connect_attempts_exceeded = 0;
}

export interface ClusterEnvironment {
  readonly secret: SecretLookup;
  /** A name did not resolve; undefined: it does again. */
  readonly onDns: (cluster: string, problem: string | undefined) => void;
}

const idleSweepMs = 1_000;

const noBalancer = { pick: () => undefined };

export class ClusterRuntime {
  config: CompiledCluster;
  readonly stats = new ClusterStats();
  readonly responses = new ResponseCounts();
  connections = 0;
  pending = 0;
  requests = 0;
  retries = 0;
  readonly #environment: ClusterEnvironment;
  #eds: EndpointSet | undefined;
  #hosts = new Map<string, Host>();
  readonly #leaving = new Set<Host>();
  #balancer: { pick(context: PickContext, attempt: number): Host | undefined } = noBalancer;
  /** Where round robin stands, over all changes. */
  readonly #positions = new Positions();
  #overprovisioning = 1.4;
  #checks: HealthChecks | undefined;
  #outliers: OutlierDetector<Host> | undefined;
  #resolution: Resolution | undefined;
  #dnsProblem: string | undefined;
  #sweep: NodeJS.Timeout | undefined;
  #tcpStats: TcpUpstreamStats | undefined;

  constructor(config: CompiledCluster, eds: EndpointSet | undefined, environment: ClusterEnvironment) {
    this.config = config;
    this.#eds = eds;
    this.#environment = environment;
    this.#rebuild();
  }

  /** A new configuration of the same name. */
  configure(config: CompiledCluster, eds: EndpointSet | undefined): void {
    this.config = config;
    if (eds !== undefined) this.#eds = eds;
    this.#rebuild();
  }

  /** New endpoints of an EDS cluster. */
  setEndpoints(eds: EndpointSet): void {
    this.#eds = eds;
    if (this.config.discovery === "eds") this.#rebuild();
  }

  /** The host for the next request; undefined when there is none. `avoid` are tried before. */
  pick(context: PickContext, avoid?: ReadonlySet<Host>, attempts = 1): Host | undefined {
    let host = this.#balancer.pick(context, 0);
    if (avoid !== undefined)
      for (let i = 1; i < attempts && host !== undefined && avoid.has(host); i++) host = this.#balancer.pick(context, i);
    return host;
  }

  get tcpStats(): TcpUpstreamStats {
    this.#tcpStats ??= new TcpUpstreamStats();
    return this.#tcpStats;
  }

  /** What became of a request that the host got. */
  report(host: Host, outcome: Outcome): void {
    this.#outliers?.report(host, outcome);
  }

  #rebuild(): void {
    const { config } = this;
    this.#resolution?.stop();
    this.#resolution = undefined;
    if (config.discovery === "strictDns" || config.discovery === "logicalDns") {
      this.#resolution = resolveEndpoints(config, {
        onEndpoints: (set) => this.#setHosts(set),
        onProblem: (problem) => this.#tellDns(problem),
      });
      // Until the answer is there, hosts of before serve.
      if (this.#hosts.size > 0) {
        this.#watchHealth();
        this.#rebalance();
      }
      return;
    }
    this.#tellDns(undefined);
    this.#setHosts(config.discovery === "eds" ? (this.#eds ?? noEndpoints) : config.inline);
  }

  /** What another configuration of this cluster could not resolve is a problem until this one has none. */
  #tellDns(problem: string | undefined): void {
    if (problem === this.#dnsProblem) return;
    this.#dnsProblem = problem;
    this.#environment.onDns(this.config.name, problem);
  }

  #setHosts(set: EndpointSet): void {
    const next = new Map<string, Host>();
    for (const spec of set.endpoints) {
      const { tls, proxyProtocol } = this.#transportFor(spec);
      const transport = `${proxyProtocol ?? ""} ${tls === undefined ? "" : tlsVersion(tls, spec)}`;
      const key = `${spec.isPipe ? "unix:" : ""}${spec.address}:${spec.port} ${transport} ${spec.priority}`;
      if (next.has(key)) continue;
      const known = this.#hosts.get(key);
      if (known === undefined) {
        const client = tls === undefined ? undefined : new TlsClient(tls, spec, this.#environment.secret);
        next.set(key, new Host(this, spec.address, spec, client, proxyProtocol));
      } else {
        known.spec = spec;
        next.set(key, known);
      }
    }
    for (const [key, host] of this.#hosts) {
      if (next.get(key) === host) continue;
      this.#leaving.add(host);
      host.drain();
      if (host.isEmpty) this.#leaving.delete(host);
    }
    this.#hosts = next;
    this.#overprovisioning = set.overprovisioning;
    this.#watchHealth();
    this.#rebalance();
  }

  #transportFor(spec: EndpointSpec): Transport {
    for (const { match, transport } of this.config.transportMatches) {
      const wanted = Object.entries(match);
      if (wanted.every(([key, value]) => JSON.stringify(spec.transportMatch?.[key]) === JSON.stringify(value))) return transport;
    }
    return this.config.transport;
  }

  /** Health checks and outlier detection, of these hosts and as the configuration says now. */
  #watchHealth(): void {
    const { healthChecks, outliers } = this.config;
    const hosts = this.hosts;
    if (outliers === undefined || this.#outliers?.intervalMs !== outliers.intervalMs) {
      this.#outliers?.close();
      this.#outliers = outliers && new OutlierDetector(outliers, () => this.#rebalance());
    } else this.#outliers.configure(outliers);
    this.#outliers?.setHosts(hosts);
    if (!isSame(this.#checks?.checks ?? [], healthChecks)) {
      this.#checks?.close();
      this.#checks =
        healthChecks.length === 0
          ? undefined
          : new HealthChecks(
              healthChecks,
              (host, isHealthy) => this.#onHealth(host, isHealthy),
              (host) => this.#outliers?.onHealthy(host),
            );
    }
    this.#checks?.setHosts(hosts);
  }

  #onHealth(host: Host, isHealthy: boolean): void {
    if (!isHealthy && this.config.closesUnhealthy) host.closeConnections();
    this.#rebalance();
  }

  #rebalance(): void {
    const { subsets, ...balancing } = this.config.balancing;
    const config = { ...balancing, overprovisioning: this.#overprovisioning };
    this.#balancer =
      subsets === undefined
        ? new Balancer(this.hosts, config, this.#positions)
        : new SubsetBalancer(this.hosts, subsets, config, this.#positions);
  }

  /** A host that left has no connection any more. */
  onEmpty(host: Host): void {
    this.#leaving.delete(host);
  }

  /** Sees to it that idle connections are closed in time. */
  watchIdle(): void {
    if (this.#sweep !== undefined || this.config.idleTimeoutMs === Number.POSITIVE_INFINITY) return;
    this.#sweep = setInterval(() => this.#closeIdle(), Math.min(idleSweepMs, Math.max(50, this.config.idleTimeoutMs / 2)));
    this.#sweep.unref();
  }

  #closeIdle(): void {
    const now = performance.now();
    let left = 0;
    for (const host of this.#hosts.values()) left += host.closeIdle(now);
    if (left > 0) return;
    clearInterval(this.#sweep);
    this.#sweep = undefined;
  }

  /** The cluster is gone: what is under way finishes. */
  retire(): void {
    this.#resolution?.stop();
    this.#checks?.close();
    this.#outliers?.close();
    clearInterval(this.#sweep);
    for (const host of this.#hosts.values()) host.drain();
  }

  destroy(): void {
    this.retire();
    for (const host of [...this.#hosts.values(), ...this.#leaving]) host.destroy();
  }

  /** Something was asked of it, or it is watched. There may be ten thousand of which nobody wants to read. */
  get isUsed(): boolean {
    const { upstream_cx_total, upstream_rq_pending_total, upstream_cx_none_healthy } = this.stats;
    return (
      upstream_cx_total + upstream_rq_pending_total + upstream_cx_none_healthy > 0 || !this.responses.isEmpty || this.#checks !== undefined
    );
  }

  /** Counters and gauges, under Envoy's names. */
  allStats(): Record<string, number> {
    const hosts = this.hosts;
    const stats: Record<string, number> = { ...this.stats, ...this.#tcpStats };
    this.responses.writeTo(stats, "upstream", true);
    return {
      ...stats,
      upstream_rq_active: this.requests,
      upstream_cx_active: this.connections,
      upstream_rq_pending_active: this.pending,
      membership_total: hosts.length,
      membership_healthy: hosts.filter((host) => host.isHealthy).length,
      membership_degraded: hosts.filter((host) => host.isDegraded).length,
      ...prefixed("health_check.", this.#checks?.stats),
      ...prefixed("outlier_detection.", this.#outliers?.stats),
    };
  }

  get hosts(): readonly Host[] {
    return [...this.#hosts.values()];
  }
}

function prefixed(prefix: string, stats: object | undefined): Record<string, number> {
  return Object.fromEntries(Object.entries(stats ?? {}).map(([key, value]) => [prefix + key, value as number]));
}

/** Whether the checks say the same: then those under way go on. Functions and all were made from the same bytes. */
function isSame(a: readonly CompiledHealthCheck[], b: readonly CompiledHealthCheck[]): boolean {
  return a === b || (a.length === b.length && a.every((each, index) => each.source.equals(b[index]?.source as Buffer)));
}
