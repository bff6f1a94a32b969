// One of several replicas does what only one may: leader election on a Lease, as Kubernetes' own controllers do it.
//
// - What others wrote is judged by our own monotonic clock, from when we saw it: clocks that differ or jump do not matter.
// - Who leads asks `isLeader` before each thing that it does: a process that was stopped for a minute finds that it leads no more
//   before it does anything, because the time of its last renewal is over.
// - Losing the lease, or the API server, makes a follower, which tries again. It never ends anything.

import type { KubeApi } from "./api.ts";
import { backoffMs, pause } from "./backoff.ts";
import { KubeError } from "./error.ts";
import type { KubeObject, ResourceType } from "./object.ts";

export interface LeaseOptions {
  readonly namespace: string;
  readonly name: string;
  /** Unique among replicas and restarts. */
  readonly identity: string;
  /** How long others wait for a leader that does not renew. Default: 15 s. */
  readonly durationMs?: number;
  /** How long a leader that cannot renew goes on. Shorter than the duration. Default: 10 s. */
  readonly renewWithinMs?: number;
  /** Default: 2 s. */
  readonly everyMs?: number;
  readonly onChange?: (isLeader: boolean) => void;
  /** Told once for each outage, and with undefined when it is over. What is no KubeError is a fault of ours. */
  readonly onFault?: (error: Error | undefined) => void;
  /** Milliseconds that never go back. */
  readonly now?: () => number;
}

export interface Leadership {
  /** Right now. */
  readonly isLeader: boolean;
}

const leases: ResourceType = { group: "coordination.k8s.io", version: "v1", plural: "leases", kind: "Lease", isNamespaced: true };

interface LeaseSpec {
  readonly holderIdentity?: string;
  readonly leaseDurationSeconds?: number;
  readonly acquireTime?: string;
  readonly renewTime?: string;
  readonly leaseTransitions?: number;
}

export class Lease implements Leadership, AsyncDisposable {
  readonly #api: KubeApi;
  readonly #options: Required<Omit<LeaseOptions, "onChange" | "onFault">> & Pick<LeaseOptions, "onChange" | "onFault">;
  readonly #ended = new AbortController();
  /** Until when we may think that we lead. */
  #leadsUntil = Number.NEGATIVE_INFINITY;
  #wasLeader = false;
  /** What the lease said when we looked last, and when it first said so. */
  #seen: { readonly record: string; readonly at: number } | undefined;
  #held: KubeObject | undefined;
  #hasFault = false;
  #running: Promise<void> | undefined;
  #expiry: NodeJS.Timeout | undefined;

  constructor(api: KubeApi, options: LeaseOptions) {
    this.#api = api;
    this.#options = { durationMs: 15_000, renewWithinMs: 10_000, everyMs: 2_000, now: () => performance.now(), ...options };
  }

  start(): this {
    this.#running ??= this.#run();
    return this;
  }

  get isLeader(): boolean {
    return this.#options.now() < this.#leadsUntil;
  }

  /** Lets go, so that another need not wait. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    await this.#running;
    clearTimeout(this.#expiry);
    const wasLeader = this.isLeader;
    this.#leadsUntil = Number.NEGATIVE_INFINITY;
    this.#tell();
    if (!wasLeader || this.#held === undefined) return;
    try {
      const spec: LeaseSpec = { ...specOf(this.#held), holderIdentity: "", leaseDurationSeconds: 1, renewTime: timestamp() };
      await this.#api.update(leases, { ...this.#held, spec }, { timeoutMs: 2_000 });
    } catch {
      // Another waits until it has run out.
    }
  }

  async #run(): Promise<void> {
    const { signal } = this.#ended;
    let failures = 0;
    while (!signal.aborted) {
      try {
        await this.#round(signal);
        failures = 0;
        if (this.#hasFault) this.#options.onFault?.(undefined);
        this.#hasFault = false;
      } catch (error) {
        if (signal.aborted) break;
        // Two who try at the same moment are no outage.
        if (!(error instanceof KubeError && error.fault === "conflict")) {
          failures++;
          if (!this.#hasFault) this.#options.onFault?.(error as Error);
          this.#hasFault = true;
        }
      }
      this.#tell();
      const { everyMs } = this.#options;
      await pause(failures === 0 ? everyMs : backoffMs(failures, { firstMs: everyMs / 4, mostMs: everyMs }), signal);
    }
  }

  async #round(signal: AbortSignal): Promise<void> {
    const { namespace, name, identity, durationMs, renewWithinMs, now } = this.#options;
    const call = { signal, timeoutMs: Math.min(5_000, renewWithinMs) };
    const found = await this.#find(call);
    const spec = found && specOf(found);
    const record = JSON.stringify([spec?.holderIdentity, spec?.renewTime, spec?.leaseTransitions]);
    if (this.#seen?.record !== record) this.#seen = { record, at: now() };
    const isOurs = spec?.holderIdentity === identity;
    const isFree = !spec?.holderIdentity || now() - this.#seen.at >= (spec.leaseDurationSeconds ?? durationMs / 1000) * 1000;
    if (!isOurs && !isFree) {
      this.#leadsUntil = Number.NEGATIVE_INFINITY;
      return;
    }
    // Counted from before the write: the others count from after it.
    const from = now();
    const at = timestamp();
    const next: LeaseSpec = {
      holderIdentity: identity,
      leaseDurationSeconds: Math.ceil(durationMs / 1000),
      acquireTime: isOurs ? (spec.acquireTime ?? at) : at,
      renewTime: at,
      leaseTransitions: (spec?.leaseTransitions ?? 0) + (isOurs || spec === undefined ? 0 : 1),
    };
    const object = { apiVersion: "coordination.k8s.io/v1", kind: "Lease", metadata: found?.metadata ?? { namespace, name }, spec: next };
    this.#held = found === undefined ? await this.#api.create(leases, object, call) : await this.#api.update(leases, object, call);
    this.#leadsUntil = from + renewWithinMs;
  }

  async #find(call: { readonly signal: AbortSignal; readonly timeoutMs: number }): Promise<KubeObject | undefined> {
    const { namespace, name } = this.#options;
    try {
      return await this.#api.get(leases, { namespace, name }, call);
    } catch (error) {
      if (error instanceof KubeError && error.fault === "missing") return undefined;
      throw error;
    }
  }

  /** Also when the time runs out while the API server is silent. */
  #tell(): void {
    const { isLeader } = this;
    clearTimeout(this.#expiry);
    if (isLeader) {
      this.#expiry = setTimeout(() => this.#tell(), Math.max(1, this.#leadsUntil - this.#options.now()));
      this.#expiry.unref();
    }
    if (isLeader === this.#wasLeader) return;
    this.#wasLeader = isLeader;
    try {
      this.#options.onChange?.(isLeader);
    } catch (error) {
      this.#options.onFault?.(error as Error);
    }
  }
}

function specOf({ spec }: KubeObject): LeaseSpec {
  return typeof spec === "object" && spec !== null ? (spec as LeaseSpec) : {};
}

/** A Kubernetes MicroTime. */
function timestamp(): string {
  return new Date().toISOString().replace("Z", "000Z");
}
