// What one stream asked for of one type, what its client has, and what it therefore still has to be sent. The rules that delta and
// state of the world share; delta.ts and sotw.ts add how each reads a request and frames a response.
import type { EnvoyResource, Refusal } from "../model/envoy-resource.ts";
import { typeUrls } from "../model/envoy-resource.ts";
import type { ProxyResources, RefusalFacts } from "./proxy-resources.ts";
import { blamed, presentable } from "./refusal.ts";
import { SetVersion } from "./set-version.ts";
import { type Change, doubtful, isNew, type Refused, rebase, type Unanswered } from "./unanswered.ts";
import type { ResponseHead } from "./wire.ts";

/**
 * `make`: what is new or changed. `break`: what is gone. Only clusters and endpoints tell the two apart, because something that is
 * still in force may use what is gone; for other types `make` says both.
 */
export type Phase = "make" | "break";

/** What a response changes for its client, and what the client had before. */
export interface Push {
  readonly changed: readonly { readonly resource: EnvoyResource; readonly before: string | undefined }[];
  readonly removed: readonly { readonly name: string; readonly before: string | undefined }[];
}

/** How a subscription tells the rest what happened. */
export interface SubscriptionEvents {
  acked(subscription: Subscription): void;
  nacked(subscription: Subscription, message: string): void;
  /** The first time that this version is refused by anyone, or once more when there is a newer one already. */
  refused(resource: EnvoyResource, message: string, facts: RefusalFacts & Pick<Refusal, "keepsEarlier">): void;
  /** The client asks by name for a listener that it may have refused: it may take it now. */
  askedAgain(name: string): void;
  warn(fields: object, message: string): void;
}

/**
 * Envoy reads on while its answer waits for clusters to warm, and remembers one nonce for each response. What one client can make us
 * remember has a bound nevertheless.
 */
const mostUnanswered = 32;

/** How long listeners that are to go stay after others were refused: whoever hears of that may want them again. */
const secondThoughtsMs = 1_000;

/**
 * How long listeners whose place is taken stay after the client has said that it has the new ones: those take no connections before their
 * routes have come, which the client asks for only then. Whether it has them is waited for as for all routes (order.ts).
 */
const settlingMs = 1_000;

/** What a response needs besides its content. */
export interface Sending {
  readonly nonce: string;
  readonly now: number;
  readonly controlPlane: string | undefined;
  /** What does not pass has to wait. */
  readonly passes?: (resource: EnvoyResource) => boolean;
}

export abstract class Subscription {
  readonly typeUrl: string;
  nacks = 0;
  sentVersion = "";
  ackedVersion = "";
  /** What was sent and is not answered yet, in order. Usually one response at most; more follow when the answer is slow. */
  protected readonly unanswered: Unanswered[] = [];

  protected readonly resources: ProxyResources;
  protected readonly events: SubscriptionEvents;
  protected isWildcard = false;
  readonly names = new Set<string>();
  /** The first request of a type is answered even when there is nothing to say: Envoy waits for it while it starts. */
  protected owesAnswer = true;
  readonly #known = new Map<string, string>();
  readonly #knownVersion = new SetVersion();
  #doubtful = 0;
  readonly #upserts = new Set<string>();
  readonly #removals = new Set<string>();
  /** Those of them that go when what takes their place has its routes. */
  readonly #replaced = new Set<string>();
  #replacedAt: number | undefined;
  /** What takes their place was sent, and is not acknowledged: later changes of other listeners do not make them wait anew. */
  #isReplacing = false;
  /** Names that must be sent even if they have not changed, because the client asked for them or needs them again. */
  readonly #due = new Set<string>();
  /** Those of them that do not exist: delta says so, at once. */
  readonly #absent = new Set<string>();
  /** The version that this very client refused, by name: it does not get it again, even if others run it. */
  readonly #refusedHere = new Map<string, string>();
  /** What the client had of the names that are in doubt, before it was sent the version that they are in doubt for. */
  readonly #beforeDoubt = new Map<string, { readonly version: string; readonly before: string | undefined }>();
  /** Since a refusal that may be answered by taking back what was to go. */
  #refusedAt: number | undefined;
  /** After a NACK that names nobody: what to try next, in ever smaller parts. */
  #trials: (readonly string[])[] = [];

  constructor(typeUrl: string, resources: ProxyResources, events: SubscriptionEvents) {
    this.typeUrl = typeUrl;
    this.resources = resources;
    this.events = events;
  }

  /** Frames a push; called once for each, in order. */
  protected abstract frame(head: ResponseHead, push: Push): Buffer;
  /** The client did not take these responses. */
  protected abstract undo(nonces: readonly string[]): void;
  /** Whether the variant can tell a client that a resource of this type is gone. */
  protected abstract get saysRemovals(): boolean;

  /** Clusters and endpoints may still be in use when they are gone from the configuration. */
  get #removesLast(): boolean {
    return this.typeUrl === typeUrls.cluster || this.typeUrl === typeUrls.endpoint;
  }

  /** Resources that the client has for certain, or has been sent. */
  get size(): number {
    return this.#known.size - this.#doubtful;
  }

  /** Since when an answer is awaited. */
  get waitingSince(): number | undefined {
    return this.unanswered[0]?.since;
  }

  /**
   * A response may be sent. The answer to the one before is waited for a while, so that changes in quick succession become one; but
   * not for long, since it may be that it waits for clusters to warm, which nobody else should have to. While a culprit is searched
   * for by trying, each trial is awaited.
   */
  isFree(now: number, patienceMs: number): boolean {
    const last = this.unanswered.at(-1);
    if (last === undefined) return true;
    return now - last.since >= patienceMs && this.unanswered.length < mostUnanswered && this.#trials.length === 0;
  }

  /** What the client may not have yet in any version, though it was sent or is about to be; undefined when that is more than `most`. */
  unconfirmed(most: number): ReadonlySet<string> | undefined {
    const names = new Set<string>();
    for (const { changed } of this.unanswered) {
      for (const { resource, before } of changed) if (isNew(before) && names.add(resource.name).size > most) return undefined;
    }
    for (const name of this.#upserts) if (isNew(this.#known.get(name)) && names.add(name).size > most) return undefined;
    return names;
  }

  covers(name: string): boolean {
    return this.isWildcard || this.names.has(name);
  }

  hasWork(phase: Phase): boolean {
    if (phase === "break") return this.#removesLast ? this.#mayRemove : this.#mayReplace;
    return this.owesAnswer || this.#upserts.size > 0 || this.#absent.size > 0 || (!this.#removesLast && this.#mayRemove);
  }

  /** It has what is to go but must not yet: for second thoughts, or for what takes its place. */
  get isLingering(): boolean {
    return !this.#removesLast && this.#removals.size > 0;
  }

  get #mayRemove(): boolean {
    return this.#removals.size > this.#replaced.size && this.#refusedAt === undefined;
  }

  get #mayReplace(): boolean {
    return this.#replaced.size > 0 && this.#replacedAt === undefined && this.#refusedAt === undefined;
  }

  /** What was held back for second thoughts, or for what takes its place, may go. */
  isOverWait(now: number): boolean {
    const [isOverRefusal, isSettled] = [isOver(this.#refusedAt, secondThoughtsMs, now), isOver(this.#replacedAt, settlingMs, now)];
    if (isOverRefusal) this.#refusedAt = undefined;
    if (isSettled) this.#replacedAt = undefined;
    return (isOverRefusal && this.#removals.size > 0) || (isSettled && this.#replaced.size > 0);
  }

  /**
   * Whether there is something to make that passes. What is gone does when everything does: its place may be taken by what has to wait.
   */
  hasWorkThat(passes: (resource: EnvoyResource) => boolean): boolean {
    if (this.#trials.length > 0) return false;
    if (this.#absent.size > 0) return true;
    let passing = 0;
    for (const name of this.#upserts) passing += Number(this.#passes(name, passes));
    return passing > 0 || (passing === this.#upserts.size && !this.#removesLast && this.#mayRemove);
  }

  /** All that the client has may have to go. */
  reconsider(): void {
    for (const name of [...this.#known.keys()]) this.compare(name);
  }

  /** Resources of these names may have changed. */
  changed(names: ReadonlySet<string>): void {
    if (!this.isWildcard && this.names.size < names.size) {
      for (const name of this.names) if (names.has(name)) this.compare(name);
    } else {
      for (const name of names) this.compare(name);
    }
  }

  /** The client needs this resource again, though it has not changed. */
  forget(name: string): void {
    if (this.covers(name)) this.ask(name);
  }

  /** The next response, of what passes; its answer is awaited from now on. Asked only when there is work and {@link isFree}. */
  next(phase: Phase, sending: Sending): { message: Buffer; push: Push } {
    const { nonce, now, controlPlane, passes } = sending;
    const push = phase === "make" ? this.#make(passes) : { changed: [], removed: this.#takeRemovals() };
    this.owesAnswer = false;
    this.sentVersion = this.#setVersion(nonce);
    const message = this.frame({ typeUrl: this.typeUrl, setVersion: this.sentVersion, nonce, controlPlane }, push);
    this.unanswered.push({ ...push, nonce, version: this.sentVersion, since: now, suspects: [] });
    return { message, push };
  }

  /** What there is to do about one name: compares what the client has with what it should have. */
  protected compare(name: string): void {
    this.#clear(name);
    if (!this.covers(name)) return;
    const running = this.#known.get(name);
    const resource = this.#current(name, running);
    if (resource !== undefined) {
      if (resource.version !== running && resource.version !== this.#refusedHere.get(name)) this.#upserts.add(name);
    } else if (this.resources.isWithheld(this.typeUrl, name)) {
      // There will be something to say later.
    } else if (running !== undefined && running !== doubtful && this.resources.isWithoutSubstitute(this.typeUrl, name)) {
      // After a restart of ours we do not know what the client runs; it runs.
    } else if (running !== undefined && running !== doubtful && this.saysRemovals && this.resources.isUnknown(this.typeUrl, name)) {
      // Made, perhaps, from what cannot be read now.
    } else if (running !== undefined) {
      if (this.saysRemovals) this.#removals.add(name);
      else this.setKnown(name, undefined);
    } else if (this.saysRemovals && this.#due.has(name)) {
      this.#absent.add(name);
    }
  }

  /** Endpoints that went a moment ago are still given to a client that waits for them: its cluster must warm up before it can be removed. */
  #current(name: string, running: string | undefined): EnvoyResource | undefined {
    return (
      this.resources.get(this.typeUrl, name, running) ?? (this.#due.has(name) ? this.resources.departed(this.typeUrl, name) : undefined)
    );
  }

  #clear(name: string): void {
    this.#upserts.delete(name);
    this.#removals.delete(name);
    this.#replaced.delete(name);
    this.#absent.delete(name);
  }

  /** The client asks for a name: it gets an answer even if we believe that it has the resource, since it may have forgotten it. */
  protected ask(name: string): void {
    this.setKnown(name, undefined);
    this.#due.add(name);
    this.compare(name);
  }

  /** The client wants to try once more what it may have refused. */
  protected forgive(name: string): void {
    this.#refusedHere.delete(name);
    this.resources.forgive(this.typeUrl, name);
    this.events.askedAgain(name);
  }

  /** The client no longer wants a name; nothing is said about it. */
  protected drop(name: string): void {
    this.setKnown(name, undefined);
    this.#due.delete(name);
    this.#beforeDoubt.delete(name);
    this.#clear(name);
  }

  /** The client wants all there is. */
  protected compareAll(): void {
    for (const name of this.resources.names(this.typeUrl)) this.compare(name);
    for (const name of this.#known.keys()) this.compare(name);
  }

  /** After the client gave up names, or the wildcard. */
  protected dropUncovered(): void {
    for (const names of [this.#known.keys(), this.#due, this.#upserts, this.#removals]) {
      for (const name of [...names]) if (!this.covers(name)) this.drop(name);
    }
  }

  protected setKnown(name: string, version: string | undefined): void {
    const before = this.#known.get(name);
    if (before === version) return;
    this.#doubtful += Number(version === doubtful) - Number(before === doubtful);
    if (before !== undefined) this.#knownVersion.toggle(name, before);
    if (version === undefined) {
      this.#known.delete(name);
    } else {
      this.#known.set(name, version);
      this.#knownVersion.toggle(name, version);
    }
  }

  /** The responses up to this one, which are thereby answered; none when the nonce is of no response, or of one that was answered. */
  protected answered(nonce: string): readonly Unanswered[] {
    return this.unanswered.splice(0, this.unanswered.findIndex((each) => each.nonce === nonce) + 1);
  }

  protected ack({ changed, version }: Unanswered): void {
    this.ackedVersion = version;
    for (const { resource } of changed) {
      this.resources.accept(resource);
      this.#refusedHere.delete(resource.name);
      this.#beforeDoubt.delete(resource.name);
    }
    if (this.#isReplacing && this.#replaced.size > 0) this.#replacedAt = performance.now();
    this.#isReplacing = false;
    this.events.acked(this);
  }

  protected nack(refused: Refused, error: string): void {
    this.nacks++;
    const message = presentable(error);
    this.events.nacked(this, message);
    const sent = refused.changed.map(({ resource }) => resource);
    const suspects = [...new Set([...refused.suspects, ...sent])];
    if (suspects.length === 0) {
      // Nothing in it could be wrong (an empty answer, or removals): saying it again would be a loop.
      this.events.warn({ typeUrl: this.typeUrl, message }, "a response without resources was refused");
      return;
    }
    this.undo(refused.nonces);
    this.#doubt(refused);
    const culprits = suspects.length === 1 ? suspects : blamed(suspects, error);
    rebase(this.unanswered, refused, culprits);
    if (culprits.length === 0 && !suspects.some((suspect) => this.#isRefusedHere(suspect))) {
      this.#trials.unshift(...halves(suspects.map(({ name }) => name)));
    }
    if (this.typeUrl === typeUrls.listener && culprits.length > 0) this.#refusedAt = performance.now();
    for (const culprit of culprits) this.#refuse(culprit, message, refused.changed.find(({ resource }) => resource === culprit)?.before);
    for (const { name } of sent) this.compare(name);
    for (const { name } of refused.removed) this.compare(name);
  }

  #isRefusedHere({ name, version }: EnvoyResource): boolean {
    return this.#refusedHere.get(name) === version;
  }

  /**
   * A refused response may be in force in parts: what was not at fault, and the removals. So each name in it counts as something
   * that the client may or may not have: it is sent again if it is to be there, and removed if it is not.
   */
  #doubt({ changed, removed }: Refused): void {
    for (const { resource, before } of changed) {
      const { name, version } = resource;
      if (this.#known.get(name) !== version) continue; // asked for again, or given up, since
      if (this.#beforeDoubt.get(name)?.version !== version) this.#beforeDoubt.set(name, { version, before });
      this.setKnown(name, doubtful);
    }
    for (const { name, before } of removed) {
      if (before !== undefined && !this.#known.has(name)) this.setKnown(name, doubtful);
    }
  }

  /** The one thing that is certain: the client did not take it, and has of this name what it had. */
  #refuse(resource: EnvoyResource, message: string, before: string | undefined): void {
    const { name, version } = resource;
    this.#refusedHere.set(name, version);
    const doubt = this.#beforeDoubt.get(name);
    if (doubt?.version === version && this.#known.get(name) === doubtful) this.setKnown(name, doubt.before);
    this.#beforeDoubt.delete(name);
    const isFollowed = this.unanswered.some(({ changed }) => changed.some((later) => later.resource.name === name));
    const keepsEarlier = isFollowed ? before !== undefined : this.#known.has(name);
    const facts = this.resources.refuse(resource);
    if (facts !== undefined) this.events.refused(resource, message, { ...facts, keepsEarlier });
  }

  #make(passes: Sending["passes"]): Pick<Unanswered, "changed" | "removed"> {
    const changed: Change[] = [];
    for (const name of this.#nextBatch()) {
      if (passes !== undefined && !this.#passes(name, passes)) continue;
      const before = this.#known.get(name);
      const resource = this.#current(name, before);
      this.#clear(name);
      this.#due.delete(name);
      if (resource === undefined) continue;
      this.setKnown(name, resource.version);
      changed.push({ resource, before });
    }
    const removed = [...this.#absent].map((name) => ({ name, before: undefined }));
    for (const name of this.#absent) this.#due.delete(name);
    this.#absent.clear();
    const mayRemove = !this.#removesLast && this.#refusedAt === undefined && (passes === undefined || this.#upserts.size === 0);
    return { changed, removed: mayRemove ? [...removed, ...this.#takeRemovals(changed)] : removed };
  }

  /**
   * New listeners take the place of others that are on other ports: those go when these are taken, and have their routes. Envoy removes before it adds, and a port
   * that it cannot bind would cost the one before. On the same port they would be in each other's way. Those that only change have their
   * port: behind them nothing waits, or a client that is slow to answer could keep for ever what is gone.
   */
  #replacedBy(changed: readonly Change[]): (name: string) => boolean {
    const isMade = this.typeUrl === typeUrls.listener ? changed.filter(({ before }) => isNew(before)) : [];
    const ports = new Set(isMade.map(({ resource }) => portIn(resource.name)));
    if (ports.size === 0 || ports.has(undefined)) return () => false;
    return (name) => portIn(name) !== undefined && !ports.has(portIn(name));
  }

  #passes(name: string, passes: (resource: EnvoyResource) => boolean): boolean {
    const resource = this.#current(name, this.#known.get(name));
    return resource === undefined || passes(resource);
  }

  #takeRemovals(changed: readonly Change[] = []): Unanswered["removed"] {
    const isReplaced = this.#replacedBy(changed);
    const replaced = [...this.#removals].filter((name) => !this.#replaced.has(name) && isReplaced(name));
    for (const name of replaced) this.#replaced.add(name);
    if (replaced.length > 0) {
      this.#replacedAt = performance.now();
      this.#isReplacing = true;
    }
    const isDue = changed.length === 0 && this.#mayReplace;
    const names = [...this.#removals].filter((name) => isDue || !this.#replaced.has(name));
    const removed = names.map((name) => ({ name, before: this.#known.get(name) }));
    for (const { name } of removed) {
      this.#removals.delete(name);
      this.#replaced.delete(name);
      this.setKnown(name, undefined);
    }
    return removed;
  }

  #nextBatch(): readonly string[] {
    for (let trial = this.#trials.shift(); trial !== undefined; trial = this.#trials.shift()) {
      const due = trial.filter((name) => this.#upserts.has(name));
      if (due.length > 0) return due;
    }
    return [...this.#upserts];
  }

  /**
   * After a NACK the version differs from what was refused, even if the set is equal again (envoyproxy/envoy#12592). One that is
   * sent before those before it are answered has a version that no other had: by it the client can say what it took.
   */
  #setVersion(nonce: string): string {
    const version = this.nacks === 0 ? `${this.#knownVersion}` : `${this.#knownVersion}.${this.nacks}`;
    return this.unanswered.length === 0 ? version : `${version}+${nonce}`;
  }
}

function isOver(since: number | undefined, ms: number, now: number): boolean {
  return since !== undefined && now - since >= ms;
}

/** Listeners are named after their address. */
function portIn(name: string): string | undefined {
  return /-(\d+)$/.exec(name)?.[1];
}

function halves(names: readonly string[]): (readonly string[])[] {
  const middle = names.length >> 1;
  return [names.slice(0, middle), names.slice(middle)];
}
