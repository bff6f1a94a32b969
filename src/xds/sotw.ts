// State of the world: a response of clusters or listeners is the whole set; of other types, what changed is enough, and nothing
// can be said to be gone.
import type { EnvoyResource } from "../model/envoy-resource.ts";
import { type Push, Subscription } from "./subscription.ts";
import { hasLegacyWildcard, wildcard } from "./wildcard.ts";
import { type ResponseHead, type SotwRequest, sotwResponse } from "./wire.ts";

export class SotwSubscription extends Subscription {
  #isFirst = true;
  /** Once a name was asked for, an empty list no longer means "all" (the protocol's legacy rule). */
  #hasNamed = false;
  #lastNonce = "";
  /** For clusters and listeners: the set that the client has. Holds what is gone until it may be taken away. */
  #held = new Map<string, EnvoyResource>();
  #heldBefore = this.#held;

  /**
   * A request may carry the nonce of an older response: the client sent it before ours arrived, and will send another. It is
   * not answered, and what it asks for comes again with the next. Guarded by "a stale nonce gets no answer" in sotw.test.ts.
   */
  receive(request: SotwRequest): void {
    if (!this.#isFirst && request.nonce !== this.#lastNonce) return;
    this.#subscribe(request.names);
    this.#isFirst = false;
    this.settle(request.nonce, request.error);
  }

  #subscribe(names: readonly string[]): void {
    const wanted = new Set(names);
    this.#hasNamed ||= wanted.size > 0;
    const wasWildcard = this.isWildcard;
    this.isWildcard = wanted.delete(wildcard) || (!this.#hasNamed && hasLegacyWildcard(this.typeUrl));
    const added = [...wanted].filter((name) => !this.names.has(name));
    const isLess = (wasWildcard && !this.isWildcard) || this.names.size + added.length > wanted.size;
    for (const name of added) this.names.add(name);
    if (isLess) for (const name of this.names) if (!wanted.has(name)) this.names.delete(name);
    if (isLess) this.#giveUp();
    if (this.isWildcard && !wasWildcard) this.compareAll();
    // What is newly asked for is sent even if it was sent before, unasked.
    for (const name of added) this.ask(name);
  }

  #giveUp(): void {
    this.dropUncovered();
    for (const name of this.#held.keys()) if (!this.covers(name)) this.#held.delete(name);
  }

  /** By leaving it out of the whole set. */
  protected override get saysRemovals(): boolean {
    return hasLegacyWildcard(this.typeUrl);
  }

  protected override frame(head: ResponseHead, push: Push): Buffer {
    this.#lastNonce = head.nonce;
    const changed = push.changed.map(({ resource }) => resource);
    if (!this.saysRemovals) return sotwResponse(head, changed);
    this.#heldBefore = new Map(this.#held);
    for (const { name } of push.removed) this.#held.delete(name);
    for (const resource of changed) this.#held.set(resource.name, resource);
    return sotwResponse(head, this.#held.values());
  }

  protected override undo(): void {
    this.#held = this.#heldBefore;
    this.#giveUp(); // the refusal may have come with fewer names
  }
}
