// What is asked for of one type, what of it is in force, and which responses are still to be answered.
import type { RefusedResource, TypeUrl } from "../model/envoy-resource.ts";
import type { DeltaRequest } from "./wire.ts";

/** What becomes of one response. It is said when nothing in it waits any more. */
export class Answer {
  readonly nonce: string;
  readonly refused: Pick<RefusedResource, "name" | "reason">[] = [];
  readonly waitsFor = new Set<object>();
  /** Or never will be: the stream has ended. */
  isSent = false;

  constructor(nonce: string) {
    this.nonce = nonce;
  }
}

export class Subscription {
  readonly typeUrl: TypeUrl;
  /** All there are; otherwise those that are wanted by name. */
  readonly isWildcard: boolean;
  readonly #names = new Set<string>();
  /** The server's versions of what is in force. */
  readonly #versions = new Map<string, string>();
  /** Wanted, and the server has said that they do not exist. */
  readonly #absent = new Set<string>();
  readonly #toSubscribe = new Set<string>();
  readonly #toUnsubscribe = new Set<string>();
  readonly #answers: Answer[] = [];
  #isBegun = false;

  constructor(typeUrl: TypeUrl, isWildcard: boolean) {
    this.typeUrl = typeUrl;
    this.isWildcard = isWildcard;
  }

  get size(): number {
    return this.#versions.size;
  }

  wants(name: string): boolean {
    return this.#names.has(name);
  }

  want(name: string): void {
    this.#names.add(name);
    this.#toSubscribe.add(name);
    this.#toUnsubscribe.delete(name);
  }

  unwant(name: string): void {
    this.#names.delete(name);
    this.#versions.delete(name);
    this.#absent.delete(name);
    this.#toSubscribe.delete(name);
    this.#toUnsubscribe.add(name);
  }

  /** Of all there are: the server shall say this one once more. */
  askAgain(name: string): void {
    this.#toSubscribe.add(name);
  }

  has(name: string): boolean {
    return this.#versions.has(name);
  }

  /** The server has been heard of it, be it that there is none. */
  isAnswered(name: string): boolean {
    return this.#versions.has(name) || this.#absent.has(name);
  }

  inForce(name: string, version: string): void {
    this.#versions.set(name, version);
    this.#absent.delete(name);
  }

  /** What is in force stays so: the server has it no more, or not yet. */
  doesNotExist(name: string): void {
    if (this.wants(name) && !this.has(name)) this.#absent.add(name);
  }

  gone(name: string): void {
    this.#versions.delete(name);
  }

  /** On a new stream nothing has been said yet. Returns the answers that can be given no more. */
  restart(): Answer[] {
    this.#isBegun = false;
    this.#absent.clear();
    const unsaid = this.#answers.splice(0);
    for (const answer of unsaid) answer.isSent = true;
    return unsaid;
  }

  expect(nonce: string): Answer {
    const answer = new Answer(nonce);
    this.#answers.push(answer);
    return answer;
  }

  /** In the order of the responses: an answer may be taken to speak for those before it. */
  takeDone(): Answer[] {
    let done = 0;
    while (this.#answers[done]?.waitsFor.size === 0) done++;
    return this.#answers.splice(0, done);
  }

  /** What is to be said of names; undefined when that is nothing. The first request on a stream also says what is there already. */
  takeRequest(): Omit<DeltaRequest, "node"> | undefined {
    if (!this.#isBegun) {
      if (!this.isWildcard && this.#names.size === 0) return undefined;
      this.#isBegun = true;
      this.#toSubscribe.clear();
      this.#toUnsubscribe.clear();
      return { typeUrl: this.typeUrl, subscribe: [...this.#names], initialVersions: this.#versions };
    }
    if (this.#toSubscribe.size + this.#toUnsubscribe.size === 0) return undefined;
    const request = { typeUrl: this.typeUrl, subscribe: [...this.#toSubscribe], unsubscribe: [...this.#toUnsubscribe] };
    this.#toSubscribe.clear();
    this.#toUnsubscribe.clear();
    return request;
  }
}
