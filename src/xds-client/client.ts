// A client of delta ADS: gets listeners and clusters, asks for what they refer to, and hands all of it on, in an order in which nothing refers to
// what is not there. It comes back when the server does, and what it has given stays in force meanwhile.
//
// As in Envoy: clusters come first and listeners when those are ready; a listener or cluster waits for its routes, endpoints and secrets, but not
// for ever, and the version before serves on while it does; what is referred to by name is kept though the server takes it away.
//
// It leaves to others what the resources mean, and keeps nothing on disk.
import { setTimeout as delay } from "node:timers/promises";
import { versionOf } from "../envoy/encode.ts";
import type { ListenAddress } from "../lib/listen-address.ts";
import { type EnvoyResource, type ResourceChanges, type ResourceTaker, type TypeUrl, typeUrls } from "../model/envoy-resource.ts";
import type { Logger } from "../plugin/upstream-type.ts";
import { BackOff } from "./back-off.ts";
import { type Holding, Holdings } from "./holdings.ts";
import { type Reference, referencesOf } from "./references.ts";
import { refusalMessage } from "./refusal-message.ts";
import { type AdsStream, type ClientSecurity, openStream, type StreamEnd } from "./stream.ts";
import { type Answer, Subscription } from "./subscription.ts";
import { type DeltaResponse, decodeResponse, encodeRequest, type NodeIdentity, type ReceivedResource } from "./wire.ts";

export interface AdsClientOptions {
  readonly address: ListenAddress;
  /** Read anew for each connection, since certificates are renewed. */
  readonly security: () => ClientSecurity | undefined;
  readonly node: NodeIdentity;
  readonly taker: ResourceTaker;
  readonly log: Logger;
  /** Something came into force, or went. */
  readonly onChange?: (change: AppliedChange) => void;
  /** How long something waits for what it refers to, and listeners for the first clusters. */
  readonly patienceMs?: number;
  /** How long what nothing refers to any more is kept: requests under way may need it. */
  readonly lingerMs?: number;
}

/** Counts, by type URL. */
export interface AppliedChange {
  readonly upserts: ReadonlyMap<TypeUrl, number>;
  readonly removals: ReadonlyMap<TypeUrl, number>;
}

export interface AdsClientState {
  readonly isConnected: boolean;
  /** The first configuration is in force. */
  readonly isReady: boolean;
  /** By kind, how many are in force: `Listener`. */
  readonly resources: Readonly<Record<string, number>>;
  /** What is waited for, in words. */
  readonly waiting: readonly string[];
  readonly refused: number;
  readonly reconnects: number;
}

interface Arrival {
  readonly resource: EnvoyResource;
  readonly version: string;
}

/** The order in which they are asked for, and handed on. */
const types = [typeUrls.cluster, typeUrls.endpoint, typeUrls.listener, typeUrls.route, typeUrls.secret] as const;

const tickMs = 250;

export class AdsClient implements AsyncDisposable {
  readonly #options: AdsClientOptions;
  readonly #patienceMs: number;
  readonly #lingerMs: number;
  readonly #stopped = new AbortController();
  readonly #backOff = new BackOff();
  readonly #subscriptions = new Map<string, Subscription>(
    types.map((typeUrl) => [typeUrl, new Subscription(typeUrl, typeUrl === typeUrls.cluster || typeUrl === typeUrls.listener)]),
  );
  readonly #holdings = new Holdings({ want: ({ typeUrl, name }) => this.#subscriptions.get(typeUrl)?.want(name) });
  readonly #ready = Promise.withResolvers<void>();
  #stream: AdsStream | undefined;
  #hasSaidNode = false;
  /** The server has said something on this stream. */
  #isConnected = false;
  #openedAt = 0;
  /** Types of which a response has come, ever. */
  readonly #answered = new Set<string>();
  #mayAskForListeners = false;
  #isReady = false;
  #refused = 0;
  #connections = 0;
  /** One thing after another: each waits until the one before is in force. */
  #work: Promise<void> = Promise.resolve();

  constructor(options: AdsClientOptions) {
    this.#options = options;
    this.#patienceMs = options.patienceMs ?? 15_000;
    this.#lingerMs = options.lingerMs ?? 5_000;
  }

  /** Resolves when the first configuration is whole and in force. */
  get ready(): Promise<void> {
    return this.#ready.promise;
  }

  state(): AdsClientState {
    const all = [...this.#subscriptions.values()];
    return {
      isConnected: this.#isConnected,
      isReady: this.#isReady,
      resources: Object.fromEntries(all.map(({ typeUrl, size }) => [kindOf(typeUrl), size])),
      waiting: this.#holdings.waiting().map((each) => `${label(each.resource)} waits for ${this.#missingOf(each).map(label).join(", ")}`),
      refused: this.#refused,
      reconnects: Math.max(0, this.#connections - 1),
    };
  }

  /** Of a type that is not asked for by name, what is in force. */
  inForce(typeUrl: TypeUrl): readonly EnvoyResource[] {
    return this.#holdings.currentOf(typeUrl);
  }

  /** Connects, and connects again, until it is disposed. */
  async run(): Promise<void> {
    const { signal } = this.#stopped;
    const timer = setInterval(() => this.#tick(), tickMs);
    try {
      for (let failed = ""; !signal.aborted; ) {
        const end = await this.#connect(() => {
          if (failed !== "") this.#options.log.info({}, "the xDS server is there again");
          failed = "";
        });
        if (signal.aborted) return;
        const words = `${end.status}: ${end.details}`;
        if (failed !== words) this.#options.log.warn({ reason: words }, `${this.#lossText()}; trying again`);
        failed = words;
        await delay(this.#backOff.nextMs(), undefined, { signal }).catch(() => {});
      }
    } finally {
      clearInterval(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort();
    this.#stream?.close();
    await this.#work;
  }

  #lossText(): string {
    return this.#isReady ? "the xDS server cannot be reached; what it sent is served on" : "the xDS server cannot be reached";
  }

  // — the stream —

  async #connect(onFirstResponse: () => void): Promise<StreamEnd> {
    let isFirst = true;
    let stream: AdsStream;
    try {
      stream = openStream(this.#options.address, this.#options.security(), (message) => {
        if (isFirst) {
          this.#isConnected = true;
          this.#connections++;
          this.#backOff.reset();
          onFirstResponse();
        }
        isFirst = false;
        this.#do(() => this.#receive(stream, message));
      });
    } catch (error) {
      return { status: "INVALID_ARGUMENT", details: (error as Error).message };
    }
    this.#stream = stream;
    this.#do(() => this.#begin(stream));
    const end = await stream.ended;
    this.#stream = undefined;
    this.#isConnected = false;
    return end;
  }

  async #begin(stream: AdsStream): Promise<void> {
    if (stream !== this.#stream) return;
    this.#hasSaidNode = false;
    this.#openedAt = performance.now();
    for (const subscription of this.#subscriptions.values()) subscription.restart();
    // What has waited is sent again, and then waits from now.
    for (const holding of this.#holdings.waiting()) holding.since = this.#openedAt;
    this.#say();
  }

  /** A fault of ours costs the stream: the next one begins with what is in force. */
  #do(work: () => Promise<void>): void {
    this.#work = this.#work.then(work).catch((error) => {
      this.#options.log.error({ error: String((error as Error)?.stack ?? error) }, "a discovery response could not be handled");
      this.#stream?.close();
    });
  }

  /** Sends what there is to say of names, and the answers that are due. */
  #say(): void {
    for (const subscription of this.#subscriptions.values()) {
      if (this.#stream === undefined) return;
      if (subscription.typeUrl === typeUrls.listener && !this.#mayAskForListeners) continue;
      const request = subscription.takeRequest();
      if (request) this.#send(request);
      for (const answer of subscription.takeDone()) this.#answer(subscription, answer);
    }
  }

  #answer({ typeUrl }: Subscription, answer: Answer): void {
    answer.isSent = true;
    const { nonce, refused } = answer;
    if (refused.length === 0) {
      this.#send({ typeUrl, nonce });
      return;
    }
    const error = refusalMessage(typeUrl, refused);
    this.#refused += refused.length;
    this.#options.log.error({}, `refused: ${error}`);
    this.#send({ typeUrl, nonce, error });
  }

  #send(request: Parameters<typeof encodeRequest>[0]): void {
    const node = this.#hasSaidNode ? undefined : this.#options.node;
    this.#hasSaidNode = true;
    this.#stream?.send(encodeRequest({ node, ...request }));
  }

  // — what comes —

  async #receive(stream: AdsStream, message: Buffer): Promise<void> {
    if (stream !== this.#stream) return; // the next stream is told that we do not have it
    const response = decodeResponse(message);
    const subscription = this.#subscriptions.get(response.typeUrl);
    if (subscription === undefined) {
      this.#send({ typeUrl: response.typeUrl, nonce: response.nonce });
      return;
    }
    this.#answered.add(response.typeUrl);
    const answer = subscription.expect(response.nonce);
    const arrivals = response.resources.flatMap((received) => arrivalOf(received, subscription.typeUrl, answer) ?? []);
    if (subscription.isWildcard) await this.#takeHolders(subscription, arrivals, response, answer);
    else await this.#takeReferred(subscription, arrivals, answer);
  }

  async #takeHolders(subscription: Subscription, arrivals: readonly Arrival[], { removed }: DeltaResponse, answer: Answer): Promise<void> {
    const now = performance.now();
    for (const arrival of arrivals) this.#hold(subscription, arrival, answer, now);
    const removals = removed.map((name) => ({ typeUrl: subscription.typeUrl, name }));
    for (const { name } of removals) subscription.gone(name);
    // Asked for at once: the server may send them in the same breath.
    this.#say();
    await this.#settle(removals.filter((each) => this.#holdings.remove(each, now)));
  }

  #hold(subscription: Subscription, { resource, version }: Arrival, answer: Answer, now: number): void {
    if (this.#holdings.current(resource)?.resource.version === resource.version) {
      this.#holdings.discard(resource, now);
      subscription.inForce(resource.name, version);
      return;
    }
    try {
      const references = referencesOf(resource);
      for (const each of references.elsewhere)
        this.#options.log.warn({}, `${label(resource)} gets ${label(each)} from elsewhere, not over this stream; it will not come`);
      const holding: Holding = { resource, version, references, answer, since: now, isChecked: false };
      this.#holdings.hold(holding);
      // A server sends routes when it knows that the listener is there, and a listener may wait for them: its answer may not.
      if (resource.typeUrl === typeUrls.cluster) answer.waitsFor.add(holding);
    } catch (error) {
      answer.refused.push({ name: resource.name, reason: (error as Error).message });
    }
  }

  /** Routes, endpoints and secrets are of no effect before something refers to them. What is taken away while it is referred to is kept. */
  async #takeReferred(subscription: Subscription, arrivals: readonly Arrival[], answer: Answer): Promise<void> {
    const wanted = arrivals.filter(({ resource }) => subscription.wants(resource.name));
    const refused = new Map(
      (await this.#apply({ upserts: wanted.map(({ resource }) => resource), removals: [] })).map((each) => [each.name, each]),
    );
    for (const { resource, version } of wanted) {
      const refusal = refused.get(resource.name);
      if (refusal === undefined) subscription.inForce(resource.name, version);
      else answer.refused.push(refusal);
    }
    await this.#settle([]);
  }

  // — what may come into force —

  /** Puts into force what has all that it refers to, or has waited long enough; and takes away what is gone. */
  async #settle(removals: readonly Reference[]): Promise<void> {
    const now = performance.now();
    const free = this.#holdings.waiting().filter((holding) => this.#isFree(holding, now));
    const refused = new Map(
      (await this.#apply({ upserts: free.map(({ resource }) => resource), removals })).map((each) => [
        `${each.typeUrl} ${each.name}`,
        each.reason,
      ]),
    );
    for (const holding of free) {
      const reason = refused.get(`${holding.resource.typeUrl} ${holding.resource.name}`);
      if (reason === undefined) this.#commit(holding, now);
      else this.#refuse(holding, reason, now);
    }
    await this.#checkWaiting();
    await this.#dropUnused(now);
    this.#look(now);
    this.#say();
  }

  #isFree(holding: Holding, now: number): boolean {
    const missing = this.#missingOf(holding);
    if (missing.length === 0) return true;
    if (!this.#isConnected || now - holding.since < this.#patienceMs) return false;
    this.#options.log.warn(
      {},
      `${label(holding.resource)} goes into force without ${missing.map(label).join(", ")}, which did not come in ${this.#patienceMs / 1000} s`,
    );
    return true;
  }

  #missingOf({ references }: Holding): Reference[] {
    return references.wanted.filter(({ typeUrl, name }) => !this.#subscriptions.get(typeUrl)?.has(name));
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
    if (answer.isSent) this.#options.log.error({}, `${label(resource)} cannot be used: ${reason}`);
    else answer.refused.push({ name: resource.name, reason });
  }

  /** Listeners that wait are answered before they are in force: whether they can be used is found out now. */
  async #checkWaiting(): Promise<void> {
    for (const holding of this.#holdings.waiting()) {
      if (holding.isChecked || holding.resource.typeUrl !== typeUrls.listener) continue;
      holding.isChecked = true;
      const reason = await this.#options.taker.check(holding.resource);
      if (reason !== undefined) this.#refuse(holding, reason, performance.now());
    }
  }

  async #dropUnused(now: number): Promise<void> {
    const unused = this.#holdings.takeUnused(now - this.#lingerMs);
    if (unused.length === 0) return;
    for (const { typeUrl, name } of unused) this.#subscriptions.get(typeUrl)?.unwant(name);
    await this.#apply({ upserts: [], removals: unused });
  }

  /** Whether the start is a step further. */
  #look(now: number): void {
    const waits = (typeUrl: string) => this.#holdings.waiting().some(({ resource }) => resource.typeUrl === typeUrl);
    if (!this.#mayAskForListeners) {
      const areClustersIn = this.#answered.has(typeUrls.cluster) && !waits(typeUrls.cluster);
      const isTooLate = this.#stream !== undefined && now - this.#openedAt >= this.#patienceMs;
      this.#mayAskForListeners = areClustersIn || isTooLate;
    }
    if (this.#isReady || !this.#answered.has(typeUrls.listener) || waits(typeUrls.listener)) return;
    this.#isReady = true;
    this.#ready.resolve();
  }

  #tick(): void {
    if (this.#holdings.waiting().length > 0 || this.#holdings.hasUnused || !this.#mayAskForListeners) this.#do(() => this.#settle([]));
  }

  async #apply(changes: ResourceChanges) {
    if (changes.upserts.length + changes.removals.length === 0) return [];
    const refused = await this.#options.taker.apply(changes);
    this.#options.onChange?.({ upserts: countsOf(changes.upserts), removals: countsOf(changes.removals) });
    return refused;
  }
}

/** Undefined for a heartbeat, and for what is not what the response says it is. */
function arrivalOf({ name, version, content }: ReceivedResource, typeUrl: TypeUrl, answer: Answer): Arrival | undefined {
  if (content === undefined) return undefined;
  if (content.typeUrl !== typeUrl || name === "") {
    answer.refused.push({ name, reason: name === "" ? "it has no name" : `it is a ${content.typeUrl}, in a response of ${typeUrl}` });
    return undefined;
  }
  // The server's version may be one of all resources together: whether something changed is found in the content.
  return { version, resource: { typeUrl, name, version: versionOf(content.bytes), bytes: content.bytes, owners: [] } };
}

function label({ typeUrl, name }: Reference): string {
  return `${kindOf(typeUrl)} ${name}`;
}

function kindOf(typeUrl: string): string {
  return typeUrl.slice(typeUrl.lastIndexOf(".") + 1);
}

function countsOf(resources: readonly Reference[]): Map<TypeUrl, number> {
  const counts = new Map<TypeUrl, number>();
  for (const { typeUrl } of resources) counts.set(typeUrl, (counts.get(typeUrl) ?? 0) + 1);
  return counts;
}
