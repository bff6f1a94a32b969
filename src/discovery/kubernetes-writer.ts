// Keeps the discovered Upstreams of a cluster as they should be: follows what discovery finds and what is there, and writes the
// difference, a few objects at a time. Who may write (a leader) and when it is wanted are for its caller to say, by the signal.
//
// A write that went through is seen again when the cluster tells of it; until then it may be written twice, which changes nothing.
import { backoffMs, pause } from "../lib/kubernetes/backoff.ts";
import { KubeError } from "../lib/kubernetes/error.ts";
import { MassDeleteGuard } from "../lib/mass-delete-guard.ts";
import type { Ref, ResourceKey } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";
import type { Logger } from "../plugin/upstream-type.ts";
import { isDiscoverys, type UpstreamObject, type UpstreamWrite, writeOf } from "./kubernetes-plan.ts";

/** All throw a KubeError. */
export interface UpstreamWriter {
  create(object: UpstreamObject, signal: AbortSignal): Promise<void>;
  /** Of an object that is still discovery's; one that has become somebody else's is left alone. */
  update(ref: Ref, patch: object, signal: AbortSignal): Promise<void>;
  delete(ref: Ref, signal: AbortSignal): Promise<void>;
}

export interface WritingOptions {
  readonly writer: UpstreamWriter;
  /** As discovery has it now. */
  readonly found: (key: ResourceKey) => Resource<"Upstream"> | undefined;
  /** As it is in the cluster, whoever owns it. */
  readonly present: (key: ResourceKey) => Resource<"Upstream"> | undefined;
  /** Whether any Service is known: a cluster has one of its own at least, so none means that we cannot see them. */
  readonly knowsServices: () => boolean;
  readonly signal: AbortSignal;
  readonly log: Logger;
  /** How long it must stand, at the start, that most of what is there has no Service any more. Default: 60 s. */
  readonly holdMs?: number;
  /** Most writes at one time. */
  readonly parallel?: number;
}

const backoff = { firstMs: 500, mostMs: 60_000 };

export class UpstreamWriting {
  readonly #options: WritingOptions;
  /** In the order of their turns. */
  readonly #waiting = new Set<ResourceKey>();
  readonly #inWork = new Set<ResourceKey>();
  readonly #failures = new Map<ResourceKey, number>();
  /** Objects without a Service, which are not believed to be without one yet. */
  #heldBack: Set<ResourceKey> | undefined;
  /** What the log has said already, so that ten thousand objects are one line. */
  #lastFault = "";

  constructor(options: WritingOptions) {
    this.#options = options;
  }

  /** Looks at everything that is there, or should be, once. Called at the beginning of a leadership. */
  start(keys: Iterable<ResourceKey>): this {
    const all = [...keys];
    this.#hold(all);
    this.touch(all);
    return this;
  }

  /** These have changed, here or there. */
  touch(keys: Iterable<ResourceKey>): void {
    for (const key of keys) this.#waiting.add(key);
    this.#next();
  }

  #next(): void {
    const { signal, parallel = 4 } = this.#options;
    for (const key of this.#waiting) {
      if (signal.aborted || this.#inWork.size >= parallel) return;
      if (this.#inWork.has(key)) continue;
      this.#waiting.delete(key);
      const write = this.#writeOf(key);
      if (write === undefined) {
        this.#failures.delete(key);
        continue;
      }
      this.#inWork.add(key);
      void this.#carryOut(key, write).finally(() => {
        this.#inWork.delete(key);
        this.#next();
      });
    }
  }

  #writeOf(key: ResourceKey): UpstreamWrite | undefined {
    const { found, present, knowsServices } = this.#options;
    const write = writeOf(found(key), present(key));
    if (write?.kind !== "delete") return write;
    return this.#heldBack?.has(key) || !knowsServices() ? undefined : write;
  }

  async #carryOut(key: ResourceKey, write: UpstreamWrite): Promise<void> {
    const { writer, signal, log } = this.#options;
    try {
      if (write.kind === "create") await writer.create(write.object, signal);
      else if (write.kind === "update") await writer.update(write.ref, write.patch, signal);
      else await writer.delete(write.ref, signal);
      log.info({ upstream: `${write.ref.namespace}.${write.ref.name}` }, `discovery: ${write.kind}d the Upstream`);
      this.#failures.delete(key);
      this.#lastFault = "";
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof KubeError)) {
        log.error(
          { upstream: key, error: String((error as Error)?.stack ?? error) },
          "discovery: a fault of ours; the Upstream is not written",
        );
        return;
      }
      // There already, or gone already: the cluster tells, and then it is looked at again.
      if (error.fault === (write.kind === "create" ? "conflict" : "missing")) return;
      if (error.fault !== "conflict") this.#noteFault(key, error);
      // The same would be refused again; it has its next turn when it changes. Not so a deletion: what stands against it is elsewhere.
      if (error.fault === "invalid" && write.kind !== "delete") return;
      void this.#again(key);
    }
  }

  #noteFault(key: ResourceKey, error: KubeError): void {
    const words = `${error.fault} ${error.reason} ${error.status}`;
    if (words === this.#lastFault && error.fault !== "invalid") return;
    this.#lastFault = words;
    this.#options.log.warn({ upstream: key, error: error.message }, adviceOf(error));
  }

  async #again(key: ResourceKey): Promise<void> {
    const failures = (this.#failures.get(key) ?? 0) + 1;
    this.#failures.set(key, failures);
    await pause(backoffMs(failures, backoff), this.#options.signal);
    if (!this.#options.signal.aborted) this.touch([key]);
  }

  /** Most objects without their Services, right after a start, may be a source that does not see them all yet. */
  #hold(keys: readonly ResourceKey[]): void {
    const { found, present, signal, log, holdMs = 60_000 } = this.#options;
    const own = () => new Set(keys.filter((key) => isDiscoverys(present(key)?.labels)));
    const kept = () => new Set(keys.filter((key) => found(key) !== undefined));
    const guard = new MassDeleteGuard({ holdMs });
    if (guard.believes(own(), kept(), true)) return;
    this.#heldBack = own().difference(kept());
    log.warn(
      { upstreams: this.#heldBack.size },
      "discovery: most Upstreams that it made have no Service now; they stay until that has stood for a while",
    );
    const ask = async () => {
      while (!signal.aborted && !guard.believes(own(), kept(), true)) await pause(holdMs / 10, signal);
      this.#heldBack = undefined;
      this.touch(keys);
    };
    void ask();
  }
}

function adviceOf({ fault }: KubeError): string {
  switch (fault) {
    case "denied":
      return "discovery may not write Upstreams; give its role the verbs create, patch, get and delete, or set discovery.udsOptions.enabled to false";
    case "missing":
      return "discovery has nowhere to write Upstreams: the namespace, or the definition of the kind, is not there";
    case "invalid":
      return "discovery: the API server refuses the Upstream";
    default:
      return "discovery cannot write Upstreams now, and tries again";
  }
}
