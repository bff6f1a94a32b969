// What is asked for, what waits, what comes into force, and what is answered.
//
// As in Envoy: clusters come first, and listeners when those are ready; a listener or cluster waits for its routes, endpoints and secrets, but not
// for ever, and the version before serves on while it does; what is referred to by name is kept though the server takes it away.
//
// Beyond Envoy: a listener that goes stays until those that come are in force. One whose port is taken is refused, and asked for later (unbound.ts).
import {
  type EnvoyResource,
  kindOf,
  type RefusedResource,
  type ResourceChanges,
  type ResourceTaker,
  resourceKeyOf,
  type TypeUrl,
  typeUrls,
} from "../model/envoy-resource.ts";
import type { Logger } from "../plugin/upstream-type.ts";
import { type Arrival, arrivalOf } from "./arrivals.ts";
import { type Holding, Holdings } from "./holdings.ts";
import { LeavingListeners } from "./leaving.ts";
import { type Reference, referencesOf } from "./references.ts";
import { refusalMessage } from "./refusal-message.ts";
import { type Answer, Subscription } from "./subscription.ts";
import { UnboundListeners } from "./unbound.ts";
import type { DeltaRequest, DeltaResponse } from "./wire.ts";

export interface IntakeOptions {
  readonly taker: ResourceTaker;
  readonly log: Logger;
  /** Nothing happens where there is no stream. */
  readonly send: (request: Omit<DeltaRequest, "node">) => void;
  /** Something came into force, or went. */
  readonly onChange?: (change: AppliedChange) => void;
  /** How long something waits for what it refers to, and listeners for the first clusters. Default as Envoy's, 15 s. */
  readonly patienceMs?: number;
  /** How long what nothing refers to any more is kept: requests under way may need it. */
  readonly lingerMs?: number;
}

/** Counts, by type URL. */
export interface AppliedChange {
  readonly upserts: ReadonlyMap<TypeUrl, number>;
  readonly removals: ReadonlyMap<TypeUrl, number>;
}

export interface IntakeState {
  /** The first configuration is in force. */
  readonly isReady: boolean;
  /** By kind, how many are in force: `Listener`. */
  readonly resources: Readonly<Record<string, number>>;
  /** In words. */
  readonly waiting: readonly string[];
  readonly refused: number;
  /** Why listeners that the server wants are not there: ports that are taken. */
  readonly unbound: readonly string[];
}

/** The order in which they are asked for. */
const types = [typeUrls.cluster, typeUrls.endpoint, typeUrls.listener, typeUrls.route, typeUrls.secret] as const;

export class Intake {
  readonly #options: IntakeOptions;
  readonly #patienceMs: number;
  readonly #lingerMs: number;
  readonly #subscriptions = new Map<string, Subscription>(
    types.map((typeUrl) => [typeUrl, new Subscription(typeUrl, typeUrl === typeUrls.cluster || typeUrl === typeUrls.listener)]),
  );
  readonly #holdings = new Holdings({ want: ({ typeUrl, name }) => this.#subscriptions.get(typeUrl)?.want(name) });
  readonly #ready = Promise.withResolvers<void>();
  /** Types of which a response has come, ever. */
  readonly #answered = new Set<string>();
  readonly #unbound = new UnboundListeners();
  readonly #leaving = new LeavingListeners(this.#holdings, this.#unbound);
  /** All that the server wanted was in force, once. */
  #wasComplete = false;
  #begunAt = 0;
  #mayAskForListeners = false;
  #isReady = false;
  #refused = 0;

  constructor(options: IntakeOptions) {
    this.#options = options;
    this.#patienceMs = options.patienceMs ?? 15_000;
    this.#lingerMs = options.lingerMs ?? 5_000;
  }

  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  state(): IntakeState {
    return {
      isReady: this.#isReady,
      resources: Object.fromEntries([...this.#subscriptions.values()].map(({ typeUrl, size }) => [kindOf(typeUrl), size])),
      waiting: this.#holdings.waiting().map((each) => `${label(each.resource)} waits for ${this.#missingOf(each).map(label).join(", ")}`),
      refused: this.#refused,
      unbound: this.#unbound.reasons(this.#holdings.currentOf(typeUrls.listener).length === 0),
    };
  }

  inForce(typeUrl: TypeUrl): readonly EnvoyResource[] {
    return this.#holdings.currentOf(typeUrl);
  }

  /** Time may bring something. */
  get isWaiting(): boolean {
    const isSomethingHeld = this.#holdings.waiting().length > 0 || this.#holdings.hasUnused || this.#leaving.size > 0;
    return isSomethingHeld || this.#unbound.size > 0 || !this.#mayAskForListeners;
  }

  /** A new stream: says what is wanted, and what is there. */
  begin(): void {
    this.#begunAt = performance.now();
    this.#unbound.restart();
    for (const subscription of this.#subscriptions.values()) {
      for (const { refused } of subscription.restart())
        for (const { name, reason } of refused) this.#noteRefused({ typeUrl: subscription.typeUrl, name }, reason);
    }
    // What has waited is sent again, and waits from now.
    for (const holding of this.#holdings.waiting()) holding.since = this.#begunAt;
    this.#ask();
  }

  async receive(response: DeltaResponse): Promise<void> {
    const subscription = this.#subscriptions.get(response.typeUrl);
    if (subscription === undefined) {
      // Nobody asked.
      this.#options.send({ typeUrl: response.typeUrl, nonce: response.nonce });
      return;
    }
    this.#answered.add(response.typeUrl);
    const answer = subscription.expect(response.nonce);
    const arrivals = response.resources.flatMap((received) => arrivalOf(received, subscription.typeUrl, answer) ?? []);
    if (subscription.isWildcard) await this.#takeHolders(subscription, arrivals, response.removed, answer);
    else await this.#takeReferred(subscription, arrivals, response.removed, answer);
  }

  /** Whether something has waited long enough. Without a stream nothing has: nothing could have come. */
  async lookAgain(isConnected: boolean): Promise<void> {
    if (isConnected) await this.#tryPorts(performance.now());
    await this.#settle([], isConnected);
  }

  async #tryPorts(now: number): Promise<void> {
    for (const name of await this.#unbound.takeFree((listener) => this.#options.taker.check(listener), now)) {
      this.#options.log.info({}, `the port of Listener ${name} is free; asking for it again`);
      this.#subscriptions.get(typeUrls.listener)?.askAgain(name);
    }
  }

  async #takeHolders(subscription: Subscription, arrivals: readonly Arrival[], removed: readonly string[], answer: Answer): Promise<void> {
    const now = performance.now();
    if (subscription.typeUrl === typeUrls.listener) this.#unbound.allBeside();
    for (const arrival of arrivals) this.#hold(subscription, arrival, answer, now);
    const gone = removed.map((name) => ({ typeUrl: subscription.typeUrl, name }));
    for (const { name } of gone) subscription.gone(name);
    if (subscription.typeUrl === typeUrls.listener) for (const each of gone) this.#leaving.add(each, now);
    // Asked for at once: the server may send it in the same breath.
    this.#ask();
    const removals = subscription.typeUrl === typeUrls.listener ? [] : gone;
    await this.#settle(removals.filter((each) => this.#holdings.remove(each, now)));
  }

  #hold(subscription: Subscription, { resource, version }: Arrival, answer: Answer, now: number): void {
    if (resource.typeUrl === typeUrls.listener) {
      this.#leaving.delete(resource.name);
      this.#unbound.forget(resource.name);
    }
    if (this.#holdings.current(resource)?.resource.version === resource.version) {
      this.#holdings.discard(resource, now);
      subscription.inForce(resource.name, version);
      return;
    }
    try {
      const references = referencesOf(resource);
      for (const each of references.elsewhere) {
        this.#options.log.warn({}, `${label(resource)} gets ${label(each)} from elsewhere, not over this stream; it will not come`);
      }
      const holding: Holding = { resource, version, references, answer, since: now, isChecked: false };
      this.#holdings.hold(holding);
      // A server sends routes when it knows that the listener is there, and a listener may wait for them: its answer may not.
      if (resource.typeUrl === typeUrls.cluster) answer.waitsFor.add(holding);
    } catch (error) {
      answer.refused.push({ name: resource.name, reason: (error as Error).message });
    }
  }

  /** Routes, endpoints and secrets are of no effect before something refers to them. What is taken away while it is referred to is kept. */
  async #takeReferred(subscription: Subscription, arrivals: readonly Arrival[], removed: readonly string[], answer: Answer): Promise<void> {
    // As in Envoy, a cluster without hosts is whole. A listener without its routes or certificates is not.
    if (subscription.typeUrl === typeUrls.endpoint) for (const name of removed) subscription.doesNotExist(name);
    const wanted = arrivals.filter(({ resource }) => subscription.wants(resource.name));
    const changes = { upserts: wanted.map(({ resource }) => resource), removals: [] };
    const refused = await this.#apply(changes);
    for (const { resource, version } of wanted) {
      const reason = refused.get(resourceKeyOf(resource));
      if (reason === undefined) subscription.inForce(resource.name, version);
      else answer.refused.push({ name: resource.name, reason });
    }
    this.#tell(changes, refused);
    await this.#settle([]);
  }

  /** Puts into force what has all that it refers to, or has waited long enough; and takes away what is gone. */
  async #settle(removals: readonly Reference[], mayGiveUp = true): Promise<void> {
    const now = performance.now();
    let free = this.#holdings.waiting().filter((holding) => this.#isFree(holding, now, mayGiveUp));
    // What goes is gone by the time that its successor would be found to be no good.
    if (this.#leaving.size > 0) {
      await this.#checkListeners(free);
      const waiting = new Set(this.#holdings.waiting());
      free = free.filter((holding) => waiting.has(holding));
    }
    const changes = { upserts: free.map(({ resource }) => resource), removals: [...removals, ...this.#leaving.take(free, now)] };
    const refused = await this.#apply(changes);
    for (const holding of free) {
      const reason = refused.get(resourceKeyOf(holding.resource));
      if (reason === undefined) this.#commit(holding, now);
      else this.#refuse(holding, reason, now);
    }
    this.#tell(changes, refused);
    await this.#checkListeners(this.#holdings.waiting());
    await this.#dropUnused(now);
    this.#lookAtStart(now);
    this.#ask();
    this.#answer();
  }

  #isFree(holding: Holding, now: number, mayGiveUp: boolean): boolean {
    const missing = this.#missingOf(holding);
    if (missing.length === 0) return true;
    if (!mayGiveUp || now - holding.since < this.#patienceMs) return false;
    const names = missing.map(label).join(", ");
    this.#options.log.warn({}, `${label(holding.resource)} goes into force without ${names}: not there after ${this.#patienceMs / 1000} s`);
    return true;
  }

  #missingOf({ references }: Holding): Reference[] {
    return references.wanted.filter(({ typeUrl, name }) => !this.#subscriptions.get(typeUrl)?.isAnswered(name));
  }

  #commit(holding: Holding, now: number): void {
    const { resource, version, answer } = holding;
    this.#holdings.commit(holding, now);
    answer.waitsFor.delete(holding);
    this.#subscriptions.get(resource.typeUrl)?.inForce(resource.name, version);
  }

  #refuse(holding: Holding, reason: string, now: number): void {
    const { resource, answer } = holding;
    this.#holdings.discard(resource, now);
    if (resource.typeUrl === typeUrls.listener && UnboundListeners.isFor(reason)) {
      this.#unbound.note(resource, reason, this.#wasComplete, now);
    }
    if (answer.isSent) this.#noteRefused(resource, reason);
    else answer.refused.push({ name: resource.name, reason });
  }

  /** It is too late to tell the server; it hears of it when it sends the resource again. */
  #noteRefused(resource: Reference, reason: string): void {
    this.#refused++;
    this.#options.log.error({}, `${label(resource)} cannot be used: ${reason}`);
  }

  /** Listeners that wait are answered before they are in force: whether they can be used is found out now. */
  async #checkListeners(holdings: readonly Holding[]): Promise<void> {
    for (const holding of holdings) {
      if (holding.isChecked || holding.resource.typeUrl !== typeUrls.listener) continue;
      holding.isChecked = true;
      const reason = await this.#options.taker.check(holding.resource);
      if (reason !== undefined) this.#refuse(holding, reason, performance.now());
    }
  }

  async #dropUnused(now: number): Promise<void> {
    const unused = this.#holdings.takeUnused(now - this.#lingerMs);
    for (const { typeUrl, name } of unused) this.#subscriptions.get(typeUrl)?.unwant(name);
    await this.#apply({ upserts: [], removals: unused });
  }

  /** Whether the start is a step further. */
  #lookAtStart(now: number): void {
    const waits = (typeUrl: string) => this.#holdings.waiting().some(({ resource }) => resource.typeUrl === typeUrl);
    if (!this.#mayAskForListeners) {
      const areClustersIn = this.#answered.has(typeUrls.cluster) && !waits(typeUrls.cluster);
      this.#mayAskForListeners = areClustersIn || now - this.#begunAt >= this.#patienceMs;
    }
    this.#lookWhetherComplete();
    if (this.#isReady || !this.#answered.has(typeUrls.listener) || waits(typeUrls.listener)) return;
    this.#isReady = true;
    this.#lookWhetherComplete();
    this.#ready.resolve();
  }

  #lookWhetherComplete(): void {
    if (this.#isReady && this.#unbound.size === 0) this.#wasComplete = true;
  }

  /** Says what is new in what is wanted. */
  #ask(): void {
    for (const subscription of this.#subscriptions.values()) {
      if (subscription.typeUrl === typeUrls.listener && !this.#mayAskForListeners) continue;
      const request = subscription.takeRequest();
      if (request) this.#options.send(request);
    }
  }

  /** Sends the answers that are due. */
  #answer(): void {
    for (const subscription of this.#subscriptions.values()) {
      for (const answer of subscription.takeDone()) this.#send(subscription.typeUrl, answer);
    }
  }

  #send(typeUrl: TypeUrl, answer: Answer): void {
    answer.isSent = true;
    const { nonce, refused } = answer;
    if (refused.length === 0) {
      this.#options.send({ typeUrl, nonce });
      return;
    }
    const error = refusalMessage(typeUrl, refused);
    this.#refused += refused.length;
    this.#options.log.error({}, `refused: ${error}`);
    this.#options.send({ typeUrl, nonce, error });
  }

  /** Why something was refused, by type and name. */
  async #apply(changes: ResourceChanges): Promise<ReadonlyMap<string, string>> {
    if (changes.upserts.length + changes.removals.length === 0) return new Map();
    const refused: readonly RefusedResource[] = await this.#options.taker.apply(changes);
    return new Map(refused.map((each) => [resourceKeyOf(each), each.reason]));
  }

  #tell({ upserts, removals }: ResourceChanges, refused: ReadonlyMap<string, string>): void {
    const taken = upserts.filter((each) => !refused.has(resourceKeyOf(each)));
    if (taken.length + removals.length > 0) this.#options.onChange?.({ upserts: countsOf(taken), removals: countsOf(removals) });
  }
}

function label({ typeUrl, name }: Reference): string {
  return `${kindOf(typeUrl)} ${name}`;
}

function countsOf(resources: readonly Reference[]): Map<TypeUrl, number> {
  const counts = new Map<TypeUrl, number>();
  for (const { typeUrl } of resources) counts.set(typeUrl, (counts.get(typeUrl) ?? 0) + 1);
  return counts;
}
