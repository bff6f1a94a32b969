// Statuses, written to the objects of a cluster: by the one replica that leads, only what is not stored yet, and never faster than an API
// server likes it.
//
// - Server-side apply, with the resourceVersion that we have seen: if anything else has changed, the write does not happen, and the
//   change that comes through the watch has us look again. So no two replicas overwrite each other, whoever believes to lead.
// - The uid is part of it: an object that was deleted meanwhile is not made again.
// - Where the status is not a subresource (Gloo's own definitions), it is applied to the object itself; `spec` is not ours and not in it.
import type { KubeApi } from "../../lib/kubernetes/api.ts";
import { backoffMs } from "../../lib/kubernetes/backoff.ts";
import { KubeError } from "../../lib/kubernetes/error.ts";
import type { Leadership } from "../../lib/kubernetes/lease.ts";
import { apiVersionOf, resourceName } from "../../lib/kubernetes/object.ts";
import type { ResourceKey } from "../../model/ref.ts";
import type { Logger } from "../../plugin/upstream-type.ts";
import { EventRecorder } from "./events.ts";
import { isStored, type ObjectStatus, statusObject, type Verdict } from "./status-object.ts";
import type { StoredObject, StoredObjects } from "./stored.ts";

/** What is to be said, at the moment when it is asked. */
export interface Verdicts {
  of(key: ResourceKey): Verdict | undefined;
  /** All that there is something to say about. */
  keys(): Iterable<ResourceKey>;
}

export interface StatusWriterOptions {
  readonly api: KubeApi;
  readonly objects: StoredObjects;
  readonly verdicts: Verdicts;
  readonly leadership: Leadership;
  /** Of this installation: the key in `status.statuses`. */
  readonly namespace: string;
  /** Which replica this is, for events. */
  readonly instance: string;
  readonly log: Logger;
  /** Default: 5 minutes. */
  readonly resyncMs?: number;
}

/** Writes at the same time. */
const atOnce = 8;
/** Between two writes to one object. */
const paceMs = 1_000;
/** The most between two writes to an object whose status somebody else keeps changing. */
const contestedMs = 60_000;
/** A contest that has been quiet for so long is over. */
const forgetMs = 300_000;
/** When the API server is away, one write tries it out at a time. */
const outageBackoff = { firstMs: 1_000, mostMs: 10_000 };
/** What a peer has to show of the change that got in our way, before we look ourselves. */
const missedChangeMs = 5_000;
/**
 * All that is there is looked at again so often: a status that was not taken (where definitions with the subresource and without it follow
 * each other, the API server drops one without a word) is written in the end. Where all is as it should be, nothing is.
 */
const resyncMs = 300_000;
/** Most of what is looked at is stored already. Ten thousand at once would keep requests waiting. */
const lookForMs = 10;

interface Pace {
  at: number;
  /** What we wrote last. */
  written: string;
  /** How often somebody has changed it since. */
  contests: number;
}

/** What we remember of an object: of this very one, and not of another that has its name now. */
interface Dealings {
  readonly uid: string;
  pace?: Pace | undefined;
  /** Another installation has what is beside `statuses`. */
  isShared: boolean;
  /** We have it: whoever has changed it since has no say in it. */
  isOwned: boolean;
}

export class StatusWriter implements AsyncDisposable {
  readonly #options: StatusWriterOptions;
  readonly #events: EventRecorder;
  /** To be looked at, and not before when. */
  readonly #due = new Map<ResourceKey, number>();
  readonly #dealings = new Map<ResourceKey, Dealings>();
  readonly #inFlight = new Map<ResourceKey, Promise<void>>();
  readonly #ended = new AbortController();
  readonly #stopListening: () => void;
  /** Kinds of which nothing may be written in a namespace, and when that is tried again: with a few objects, not with ten thousand. */
  readonly #refused = new Map<string, number>();
  readonly #resync: NodeJS.Timeout;
  #timer: NodeJS.Timeout | undefined;
  #failures = 0;
  #notBefore = 0;
  #writes = 0;

  constructor(options: StatusWriterOptions) {
    this.#options = options;
    this.#events = new EventRecorder(options.api, options.instance);
    this.#resync = setInterval(() => this.note(options.verdicts.keys()), options.resyncMs ?? resyncMs).unref();
    this.#stopListening = options.objects.onStored((key) => this.note([key]));
  }

  /** Writes that went through. */
  get writes(): number {
    return this.#writes;
  }

  /** There may be something new to say about these. */
  note(keys: Iterable<ResourceKey>): void {
    if (!this.#options.leadership.isLeader) return;
    for (const key of keys) this.#due.set(key, 0);
    this.#wakeAt(0);
  }

  /** Whoever begins to lead looks at everything once; whoever follows forgets what it was about to write. */
  leads(isLeader: boolean): void {
    const { objects, verdicts } = this.#options;
    // What has gone while another led.
    for (const key of this.#dealings.keys()) if (objects.stored(key) === undefined) this.#dealings.delete(key);
    if (isLeader) this.note(verdicts.keys());
    else this.#due.clear();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopListening();
    this.#ended.abort();
    clearTimeout(this.#timer);
    clearInterval(this.#resync);
    await Promise.all(this.#inFlight.values());
  }

  #wakeAt(ms: number): void {
    if (this.#ended.signal.aborted) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#pump(), ms);
  }

  #pump(): void {
    const { leadership } = this.#options;
    if (this.#ended.signal.aborted || !leadership.isLeader) return;
    const now = performance.now();
    const most = this.#failures > 0 ? 1 : atOnce;
    let next = Number.POSITIVE_INFINITY;
    if (this.#notBefore > now) next = this.#notBefore;
    else
      for (const [key, at] of this.#due) {
        if (this.#inFlight.size >= most) break; // the end of a write wakes us
        if (performance.now() - now > lookForMs) {
          next = now;
          break;
        }
        if (this.#inFlight.has(key)) continue;
        if (at > now) {
          next = Math.min(next, at);
          continue;
        }
        this.#due.delete(key);
        const again = this.#look(key, now);
        if (again !== undefined) {
          this.#due.set(key, again);
          next = Math.min(next, again);
        }
      }
    if (next < Number.POSITIVE_INFINITY) this.#wakeAt(Math.max(1, next - now));
  }

  /** Begins to write where something is not stored yet; returns when to look again, where it is too early. */
  #look(key: ResourceKey, now: number): number | undefined {
    const { objects, verdicts, namespace } = this.#options;
    const object = objects.stored(key);
    const verdict = object && verdicts.of(key);
    if (object === undefined || object.isVanishing || verdict === undefined) {
      this.#dealings.delete(key);
      return undefined;
    }
    const refusedUntil = this.#refused.get(placeOf(object)) ?? now;
    if (refusedUntil > now) return refusedUntil;
    const dealings = this.#dealingsWith(key, object);
    const wanted = statusObject(versionless(verdict, object), namespace, object.status, new Date().toISOString().replace(/\.\d+Z$/, "Z"));
    if (isStored(object.status, wanted, dealings.isShared)) return undefined;
    const text = JSON.stringify([wanted.state, wanted.statuses]);
    const { pace } = dealings;
    // What we wrote is what we want, and still it is not there: somebody else writes too.
    const contests = pace?.written === text && now - pace.at < forgetMs ? pace.contests : 0;
    const earliest = pace === undefined ? now : pace.at + Math.min(contestedMs, paceMs * 2 ** Math.min(contests, 10));
    if (earliest > now) return earliest;
    dealings.pace = { at: now, written: text, contests: pace?.written === text ? contests + 1 : 0 };
    if (contests === 3)
      this.#options.log.warn(
        { resource: key },
        "somebody else keeps changing the status of this object; it is written more and more seldom",
      );
    const writing = this.#write(key, object, wanted, dealings, pace)
      .catch((error: unknown) => this.#fault(key, error))
      .finally(() => {
        this.#inFlight.delete(key);
        this.#wakeAt(0);
      });
    this.#inFlight.set(key, writing);
    return undefined;
  }

  #dealingsWith(key: ResourceKey, { uid }: StoredObject): Dealings {
    const known = this.#dealings.get(key);
    if (known?.uid === uid) return known;
    const dealings: Dealings = { uid, isShared: false, isOwned: false };
    this.#dealings.set(key, dealings);
    return dealings;
  }

  /** `pace`: as it was before; a write that does not happen does not count. */
  async #write(key: ResourceKey, object: StoredObject, wanted: ObjectStatus, dealings: Dealings, pace: Pace | undefined): Promise<void> {
    try {
      await this.#apply(object, wanted, dealings);
      this.#failures = 0;
      this.#writes++;
      this.#refused.delete(placeOf(object));
    } catch (error) {
      dealings.pace = pace;
      this.#failed(key, object, error);
      return;
    }
    await this.#tell(object, wanted);
  }

  async #apply(object: StoredObject, wanted: ObjectStatus, dealings: Dealings): Promise<void> {
    const { namespace } = this.#options;
    if (!dealings.isShared) {
      try {
        await this.#send(object, wanted, dealings.isOwned);
        dealings.isOwned = true;
        return;
      } catch (error) {
        if (!isFieldConflict(error)) throw error;
      }
    }
    // Gloo's controller has written our key before us: it is ours now. What is beside it is left to whom it belongs, if to anybody.
    const own = { statuses: { [namespace]: wanted.statuses[namespace] } };
    const after = await this.#send(object, own, true);
    if (dealings.isShared) return;
    try {
      await this.#send({ ...object, resourceVersion: after }, wanted, false);
      dealings.isOwned = true;
    } catch (error) {
      if (!isFieldConflict(error)) throw error;
      dealings.isShared = true;
    }
  }

  /** Returns the new resourceVersion. */
  async #send({ type, namespace, name, uid, resourceVersion }: StoredObject, status: object, force: boolean): Promise<string> {
    if (!this.#options.leadership.isLeader) throw new NoLongerLeader();
    const object = { apiVersion: apiVersionOf(type), kind: type.kind, metadata: { namespace, name, uid, resourceVersion }, status };
    const { metadata } = await this.#options.api.apply(type, object, {
      fieldManager: `headworks-${this.#options.namespace}`,
      force,
      ...(type.hasStatus && { subresource: "status" }),
      signal: this.#ended.signal,
      timeoutMs: 10_000,
    });
    return metadata.resourceVersion ?? resourceVersion;
  }

  #failed(key: ResourceKey, object: StoredObject, error: unknown): void {
    if (this.#ended.signal.aborted || error instanceof NoLongerLeader) return;
    if (!(error instanceof KubeError)) throw error;
    const now = performance.now();
    switch (error.fault) {
      case "missing":
        return; // it is gone
      case "conflict":
      case "expired":
        // The change that was first comes through the watch, or has come already.
        this.#due.set(key, this.#options.objects.stored(key)?.resourceVersion === object.resourceVersion ? now + missedChangeMs : now);
        return;
      case "denied":
      case "invalid": {
        const kind = resourceName(object.type);
        // Said once of a kind, in however many namespaces.
        if (!this.#refused.keys().some((place) => place.startsWith(`${kind} `)))
          this.#options.log.warn(
            { resource: key, error: error.message },
            `statuses of ${kind} cannot be written; what is served is as it should be`,
          );
        // What is invalid is this object's.
        this.#refused.set(placeOf(object), error.fault === "denied" ? now + contestedMs : now);
        this.#due.set(key, now + contestedMs);
        return;
      }
      default:
        if (this.#failures === 0)
          this.#options.log.warn({ error: error.message }, "statuses cannot be written right now; it is tried again");
        this.#failures++;
        this.#notBefore = now + (error.retryAfterMs ?? backoffMs(this.#failures, outageBackoff));
        this.#due.set(key, now);
    }
  }

  /** Of ours. It must not end the process, which serves everybody. */
  #fault(key: ResourceKey, error: unknown): void {
    this.#options.log.error({ resource: key, error: String((error as Error)?.stack ?? error) }, "a fault of ours; a status is not written");
    this.#due.set(key, performance.now() + contestedMs);
  }

  /** Only what has changed for the user: not that a message is worded differently. */
  async #tell(object: StoredObject, wanted: ObjectStatus): Promise<void> {
    const before = stateBefore(object.status, this.#options.namespace);
    const [condition] = wanted.conditions;
    if (condition === undefined || before === wanted.state) return;
    if (wanted.state === "Pending" || (wanted.state === "Accepted" && before !== "Rejected" && before !== "Warning")) return;
    try {
      await this.#events.record(object, apiVersionOf(object.type), wanted.state, condition);
    } catch (error) {
      if (!(error instanceof KubeError)) throw error;
      this.#options.log.debug({ error: error.message }, "an event could not be recorded");
    }
  }
}

/** What a role allows, or does not. */
function placeOf({ type, namespace }: StoredObject): string {
  return `${resourceName(type)} in ${namespace}`;
}

class NoLongerLeader extends Error {}

/** Where a status is part of the object, writing it makes a new generation: there, none is observed. */
function versionless(verdict: Verdict, { type }: StoredObject): Verdict {
  if (type.hasStatus) return verdict;
  const { generation: _, ...rest } = verdict;
  return rest;
}

/** Another manager has applied a field, as opposed to: the object has changed meanwhile. Both are a 409 with the reason Conflict. */
function isFieldConflict(error: unknown): boolean {
  return error instanceof KubeError && error.fault === "conflict" && /Apply failed with \d+ conflict/.test(error.message);
}

function stateBefore(status: unknown, namespace: string): unknown {
  return (status as { statuses?: Record<string, { state?: unknown } | undefined> } | null | undefined)?.statuses?.[namespace]?.state;
}
