// The active health checks of a cluster: which host is asked when, and what its answers in a row say of it.

import type { CompiledHealthCheck } from "../../compile/health-checks.ts";
import type { Host } from "../host.ts";
import { type CheckResult, probe } from "./probe.ts";

export interface HealthStats {
  attempt: number;
  success: number;
  failure: number;
}

export class HealthChecks {
  readonly stats: HealthStats = { attempt: 0, success: 0, failure: 0 };
  readonly #checks: readonly CompiledHealthCheck[];
  readonly #hosts = new Map<Host, HostChecks>();
  #isFirst = true;
  readonly #onChange: (host: Host, isHealthy: boolean) => void;
  readonly #onGood: (host: Host) => void;

  /** @param onChange a host is found well or not; `onGood`: it was found well, again or at last */
  constructor(checks: readonly CompiledHealthCheck[], onChange: (host: Host, isHealthy: boolean) => void, onGood: (host: Host) => void) {
    this.#checks = checks;
    this.#onChange = onChange;
    this.#onGood = onGood;
  }

  get checks(): readonly CompiledHealthCheck[] {
    return this.#checks;
  }

  /**
   * These are the hosts now. New ones are not well before they were asked, as in Envoy; but for the first ones of all: Envoy would not listen before
   * it has asked them, we rather try them than refuse everybody.
   */
  setHosts(hosts: readonly Host[]): void {
    const isFirst = this.#isFirst && hosts.length > 0;
    if (isFirst) this.#isFirst = false;
    const checked = new Set(hosts.filter((host) => host.spec.check !== undefined));
    for (const [host, checks] of this.#hosts) {
      if (checked.has(host)) continue;
      checks.stop();
      host.failsChecks = false;
      this.#hosts.delete(host);
    }
    for (const host of checked) {
      if (this.#hosts.has(host)) continue;
      host.failsChecks = !isFirst;
      this.#hosts.set(host, new HostChecks(host, this.#checks, this));
    }
  }

  onResult(result: CheckResult): void {
    this.stats.attempt++;
    if (result === "healthy") this.stats.success++;
    else this.stats.failure++;
  }

  /** Of all its checks together. */
  onVerdict(host: Host, isHealthy: boolean): void {
    if (host.failsChecks === isHealthy) {
      host.failsChecks = !isHealthy;
      this.#onChange(host, isHealthy);
    }
    if (isHealthy) this.#onGood(host);
  }

  close(): void {
    for (const [host, checks] of this.#hosts) {
      checks.stop();
      host.failsChecks = false;
    }
    this.#hosts.clear();
  }
}

/** A host is well when all checks say so. */
class HostChecks {
  readonly #runs: readonly Run[];

  constructor(host: Host, checks: readonly CompiledHealthCheck[], owner: HealthChecks) {
    this.#runs = checks.map(
      (check) =>
        new Run(host, check, (result) => {
          owner.onResult(result);
          if (this.#runs.every((run) => run.isSettled))
            owner.onVerdict(
              host,
              this.#runs.every((run) => run.isHealthy),
            );
        }),
    );
    for (const run of this.#runs) run.start();
  }

  stop(): void {
    for (const run of this.#runs) run.stop();
  }
}

class Run {
  isHealthy = false;
  /** It was asked at least once. */
  isSettled = false;
  readonly #host: Host;
  readonly #check: CompiledHealthCheck;
  readonly #onResult: (result: CheckResult) => void;
  #inARow = 0;
  #timer: NodeJS.Timeout | undefined;
  #probe: { cancel(): void } | undefined;

  constructor(host: Host, check: CompiledHealthCheck, onResult: (result: CheckResult) => void) {
    this.#host = host;
    this.#check = check;
    this.#onResult = onResult;
  }

  start(): void {
    this.#wait(Math.random() * this.#check.initialJitterMs);
  }

  #wait(ms: number): void {
    this.#timer = setTimeout(() => this.#ask(), ms);
    this.#timer.unref();
  }

  #ask(): void {
    const host = this.#host;
    const port = host.spec.check?.port ?? this.#check.altPort;
    const { cluster } = host;
    this.#probe = probe(
      this.#check,
      {
        clusterName: cluster.config.name,
        hostname: host.spec.check?.hostname ?? "",
        http2: cluster.config.http2,
        open: (protocol) => host.open(protocol, port),
      },
      (result) => this.#on(result),
    );
  }

  #on(result: CheckResult): void {
    const isGood = result === "healthy";
    const before = this.isHealthy;
    if (!this.isSettled) {
      // The first answer decides at once.
      this.isHealthy = isGood;
      this.#inARow = 0;
    } else if (isGood === this.isHealthy) this.#inARow = 0;
    else {
      this.#inARow++;
      const { healthyThreshold, unhealthyThreshold } = this.#check;
      if (result === "unhealthy" || this.#inARow >= (isGood ? healthyThreshold : unhealthyThreshold)) {
        this.isHealthy = isGood;
        this.#inARow = 0;
      }
    }
    const isEdge = this.isSettled && before !== this.isHealthy;
    this.isSettled = true;
    this.#onResult(result);
    this.#wait(this.#pause(isEdge));
  }

  #pause(isEdge: boolean): number {
    const { intervalMs, unhealthyMs, unhealthyEdgeMs, healthyEdgeMs, noTrafficMs, noTrafficHealthyMs, jitterMs, jitterPercent } =
      this.#check;
    let ms: number;
    if (this.#host.cluster.stats.upstream_cx_total === 0) ms = this.isHealthy ? noTrafficHealthyMs : noTrafficMs;
    else if (isEdge) ms = this.isHealthy ? healthyEdgeMs : unhealthyEdgeMs;
    else ms = this.isHealthy ? intervalMs : unhealthyMs;
    return ms + Math.random() * (jitterMs + (ms * jitterPercent) / 100);
  }

  stop(): void {
    clearTimeout(this.#timer);
    this.#probe?.cancel();
  }
}
