// Follows all objects of one kind (in one namespace, or in all): list, then watch from there, and list again whenever the watch cannot
// go on. Remembers of each object only its version, so that listing again tells only what is different.
//
// - 410 ("expired") is the ordinary way: after each restart of the API server every resourceVersion is too old. It costs a list.
// - An outage tells nothing to who follows, but that it is one.
// - What is missing in a list that comes after an outage may not be gone: see MassDeleteGuard.
import { MassDeleteGuard } from "../mass-delete-guard.ts";
import type { KubeApi, Selection } from "./api.ts";
import { type Backoff, backoffMs, pause, usualBackoff } from "./backoff.ts";
import { KubeError } from "./error.ts";
import { listPages } from "./list-all.ts";
import type { KubeObject, ResourceType } from "./object.ts";

/** Who follows. Called in order; an exception is a fault of ours and ends the reflector. */
export interface ReflectorSink {
  /** It is there, or has changed. */
  apply(object: KubeObject): void;
  /** `isEvent`: somebody has deleted it while we watched; otherwise it was missing in a list. */
  delete(ref: ReflectedRef, isEvent: boolean): void;
  /** All that a list had was told. The first time: this is all there is. */
  synced(): void;
  /** Told after each failure, and with undefined when the API answers again. */
  fault(error: KubeError | undefined): void;
  /** So many objects were missing in a list after an outage, and stay until they are believed to be gone; 0: none any more. */
  held?(missing: number): void;
}

export interface ReflectedRef {
  /** "" for what has no namespace. */
  readonly namespace: string;
  readonly name: string;
}

export interface ReflectorOptions extends Selection {
  readonly signal: AbortSignal;
  readonly pageSize?: number;
  readonly backoff?: Backoff;
  /** How long a list that lacks most of what was there must stand. Default: 5 s. */
  readonly holdMs?: number;
  /** What was there before we were: if most of it is missing in the first list, that is doubted like any other mass deletion. */
  readonly known?: readonly ReflectedRef[];
  /**
   * Most objects deleted within a moment are looked for once more before that is believed: a definition that is removed takes all its
   * objects along. Deletions wait 50 ms for their company then.
   */
  readonly doubtsDeletions?: boolean;
  /** The same after the kind itself was not served for a while: who installs it again needs time to bring its objects back. Default: 60 s. */
  readonly holdAfterMissingMs?: number;
}

/** Runs until the signal aborts. */
export async function reflect(api: KubeApi, type: ResourceType, sink: ReflectorSink, options: ReflectorOptions): Promise<void> {
  const reflector = new Reflector(api, type, sink, options);
  while (!options.signal.aborted) await reflector.round();
}

const companyMs = 50;

/** A watch that ends before has come to nothing. */
const shortMs = 1000;

/** A server may ask for more; it gets no more than that. */
const maxRetryAfterMs = 60_000;

class Reflector {
  readonly #api: KubeApi;
  readonly #type: ResourceType;
  readonly #sink: ReflectorSink;
  readonly #options: ReflectorOptions;
  readonly #backoff: Backoff;
  /** The version of each object that was told, by `namespace/name`. */
  readonly #versions = new Map<string, string>();
  #guard: MassDeleteGuard;
  #from: string | undefined;
  #failures = 0;
  /** Watches that ended as expired one after another, each in no time. */
  #expirations = 0;
  /** Since the last list something happened that makes missing objects doubtful. */
  #isSuspect = false;
  #held = 0;
  /** Deleted a moment ago, and perhaps not alone. */
  readonly #leaving = new Set<string>();
  #leavingTimer: NodeJS.Timeout | undefined;
  /** Ends the watch for the sake of a list. */
  #look = new AbortController();
  /** The version of the newest list: a list that is older comes from a cluster that was put back to a backup. */
  #newest = 0n;

  constructor(api: KubeApi, type: ResourceType, sink: ReflectorSink, options: ReflectorOptions) {
    this.#api = api;
    this.#type = type;
    this.#sink = sink;
    this.#options = options;
    this.#backoff = options.backoff ?? usualBackoff;
    this.#guard = new MassDeleteGuard({ holdMs: options.holdMs ?? 5000 });
    for (const { namespace, name } of options.known ?? []) this.#versions.set(`${namespace}/${name}`, "");
    this.#isSuspect = this.#versions.size > 0;
  }

  /** One list where it takes one, and one watch. */
  async round(): Promise<void> {
    const { signal } = this.#options;
    try {
      if (this.#from === undefined) this.#from = await this.#list();
      await this.#watch();
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof KubeError)) throw error;
      await this.#recover(error);
    }
  }

  async #recover(error: KubeError): Promise<void> {
    const { signal } = this.#options;
    const wasListed = this.#from !== undefined;
    if (error.fault === "expired") {
      this.#from = undefined;
      // Only a list that says so is an outage. Where watches end so one after another, the next list waits.
      if (wasListed) {
        if (this.#expirations > 0) await pause(backoffMs(this.#expirations, this.#backoff), signal);
        this.#expirations++;
        return;
      }
    }
    this.#failures++;
    if (error.fault === "missing") this.#guard = new MassDeleteGuard({ holdMs: this.#options.holdAfterMissingMs ?? 60_000 });
    // A watch that was cut off goes on where it was; anything else begins anew.
    if (error.fault !== "unreachable" && error.fault !== "busy") this.#from = undefined;
    this.#isSuspect = true;
    this.#sink.fault(error);
    const wait = Math.max(backoffMs(this.#failures, this.#backoffFor(error)), Math.min(error.retryAfterMs ?? 0, maxRetryAfterMs));
    if (error.fault !== "unreachable") return pause(wait, signal);
    // Somebody else's request may find out sooner that the outage is over.
    const short = Math.min(wait, this.#backoff.firstMs);
    await pause(short, signal);
    if (wait <= short) return;
    const rest = new AbortController();
    await Promise.race([pause(wait - short, signal), this.#api.answered(rest.signal)]);
    rest.abort();
  }

  /** Somebody has to do something about these, which takes a while. */
  #backoffFor({ fault }: KubeError): Backoff {
    return fault === "missing" || fault === "denied" ? { ...this.#backoff, mostMs: this.#backoff.mostMs * 1.5 } : this.#backoff;
  }

  #answered(): void {
    if (this.#failures === 0) return;
    this.#failures = 0;
    this.#sink.fault(undefined);
  }

  /** Returns the version to watch from. */
  async #list(): Promise<string> {
    const { signal, pageSize = 500, ...selection } = this.#options;
    const seen = new Set<string>();
    let resourceVersion = "";
    for await (const page of listPages(this.#api, this.#type, { ...selection, limit: pageSize, signal })) {
      for (const item of page.items) {
        seen.add(keyOf(item));
        this.#apply(item);
      }
      ({ resourceVersion } = page);
    }
    this.#answered();
    const version = /^\d{1,20}$/.test(resourceVersion) ? BigInt(resourceVersion) : this.#newest;
    if (version < this.#newest) this.#isSuspect = true;
    this.#newest = version;
    this.#removeMissing(seen);
    this.#isSuspect = false;
    this.#sink.synced();
    return resourceVersion;
  }

  #apply(object: KubeObject): void {
    const key = keyOf(object);
    this.#leaving.delete(key);
    const version = object.metadata.resourceVersion ?? "";
    if (version !== "" && this.#versions.get(key) === version) return;
    this.#versions.set(key, version);
    this.#sink.apply(object);
  }

  #deleted(key: string): void {
    if (!this.#options.doubtsDeletions) this.#remove(key, true);
    else if (this.#versions.has(key)) {
      this.#leaving.add(key);
      this.#leavingTimer ??= setTimeout(() => this.#believeDeletions(), companyMs);
    }
  }

  #believeDeletions(): void {
    this.#leavingTimer = undefined;
    if (this.#options.signal.aborted) return;
    const leaving = [...this.#leaving];
    this.#leaving.clear();
    const isMass = leaving.length >= 5 && leaving.length > this.#versions.size / 2;
    if (isMass) {
      this.#isSuspect = true;
      this.#from = undefined;
      this.#look.abort();
    } else for (const key of leaving) this.#remove(key, true);
  }

  #removeMissing(seen: ReadonlySet<string>): void {
    const before = new Set(this.#versions.keys());
    const isBelieved = this.#guard.believes(before, seen, this.#isSuspect);
    const missing = [...before.difference(seen)];
    if (isBelieved) for (const key of missing) this.#remove(key, false);
    const held = isBelieved ? 0 : missing.length;
    if (held !== this.#held) this.#sink.held?.(held);
    this.#held = held;
  }

  #remove(key: string, isEvent: boolean): void {
    if (!this.#versions.delete(key)) return;
    const slash = key.indexOf("/");
    this.#sink.delete({ namespace: key.slice(0, slash), name: key.slice(slash + 1) }, isEvent);
  }

  async #watch(): Promise<void> {
    const { signal: outer, pageSize: _, ...selection } = this.#options;
    const look = new AbortController();
    this.#look = look;
    // While a list is not believed, another one is wanted soon.
    const soon = this.#guard.isHolding ? setTimeout(() => look.abort(), Math.min(2000, (this.#options.holdMs ?? 5000) / 2)) : undefined;
    const stop = () => look.abort();
    outer.addEventListener("abort", stop, { once: true });
    const begun = performance.now();
    let events = 0;
    try {
      const from = { ...selection, resourceVersion: this.#from as string, signal: look.signal, onOpen: () => this.#answered() };
      for await (const { type, object } of this.#api.watch(this.#type, from)) {
        events++;
        this.#from = object.metadata.resourceVersion ?? this.#from;
        if (type === "DELETED") this.#deleted(keyOf(object));
        else if (type !== "BOOKMARK") this.#apply(object);
      }
    } catch (error) {
      if (!look.signal.aborted || outer.aborted) throw error;
      this.#from = undefined;
      return;
    } finally {
      clearTimeout(soon);
      outer.removeEventListener("abort", stop);
      if (performance.now() - begun >= shortMs) this.#expirations = 0;
    }
    // The list that was wanted, when the server ended the watch at that very moment.
    if (look.signal.aborted) this.#from = undefined;
    // A server that ends each watch at once shall not be asked all the time.
    if (events === 0 && performance.now() - begun < shortMs) await pause(backoffMs(4, this.#backoff), outer);
  }
}

function keyOf({ metadata }: KubeObject): string {
  return `${metadata.namespace ?? ""}/${metadata.name}`;
}
