// State of the world: a response of clusters or listeners is the whole set; of other types, what changed is enough, and nothing
// can be said to be gone.
import type { EnvoyResource } from "../model/envoy-resource.ts";
import { type Push, Subscription } from "./subscription.ts";
import { type Refused, together, type Unanswered } from "./unanswered.ts";
import { hasLegacyWildcard, wildcard } from "./wildcard.ts";
import { type ResponseHead, type SotwRequest, sotwResponse } from "./wire.ts";

export class SotwSubscription extends Subscription {
  #isFirst = true;
  /** Once a name was asked for, an empty list no longer means "all" (the protocol's legacy rule). */
  #hasNamed = false;
  #lastNonce = "";
  /** For clusters and listeners: the set that the client has. Holds what is gone until it may be taken away. */
  readonly #held = new Map<string, EnvoyResource>();
  /** By the nonces of responses that are not answered: what they put other resources, or none, in the place of. */
  readonly #replaced = new Map<string, Map<string, EnvoyResource | undefined>>();

  /**
   * A request may carry the nonce of an older response: the client sent it before ours arrived, and will send another. It is
   * not answered, and what it asks for comes again with the next. Guarded by "a stale nonce gets no answer" in sotw.test.ts.
   */
  receive(request: SotwRequest): void {
    if (this.#isFirst || request.nonce === this.#lastNonce) this.#subscribe(request.names);
    this.#isFirst = false;
    this.#settle(request);
  }

  /**
   * While Envoy's answers wait, they become one: it has the last nonce, the last error, if there was any, and the version that was
   * taken last. So an error beside the version of the last response is of one before it; else it may be of any.
   */
  #settle({ nonce, error, version }: SotwRequest): void {
    const responses = this.answered(nonce);
    const last = responses.at(-1);
    if (last === undefined) return;
    if (error === undefined) {
      for (const response of responses) this.#ack(response);
    } else if (responses.length > 1 && version === last.version) {
      const before = responses.slice(0, -1);
      for (const response of before) this.#replaced.delete(response.nonce);
      this.#ack(last);
      this.nack(
        this.#without(together(before), (resource) => this.#held.get(resource.name) === resource),
        error,
      );
    } else {
      const refused = together(responses);
      this.nack(refused, error);
      const next = this.unanswered[0];
      if (next !== undefined && this.saysRemovals)
        next.suspects = [...refused.suspects, ...refused.changed.map(({ resource }) => resource)];
    }
  }

  #ack(response: Unanswered): void {
    this.#replaced.delete(response.nonce);
    this.ack(response);
  }

  /** What was sent again within a set that was taken was taken. */
  #without(refused: Refused, isTaken: (resource: EnvoyResource) => boolean): Refused {
    for (const { resource } of refused.changed) if (isTaken(resource)) this.resources.accept(resource);
    return { ...refused, removed: [], changed: refused.changed.filter(({ resource }) => !isTaken(resource)) };
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
    const replaced = new Map<string, EnvoyResource | undefined>();
    for (const { name } of [...push.removed, ...changed]) replaced.set(name, this.#held.get(name));
    this.#replaced.set(head.nonce, replaced);
    for (const { name } of push.removed) this.#held.delete(name);
    for (const resource of changed) this.#held.set(resource.name, resource);
    return sotwResponse(head, this.#held.values());
  }

  protected override undo(nonces: readonly string[]): void {
    for (const nonce of nonces.toReversed()) {
      const replaced = this.#replaced.get(nonce) ?? [];
      this.#replaced.delete(nonce);
      for (const [name, resource] of replaced) this.#putBack(name, resource);
    }
    this.#giveUp(); // the refusal may have come with fewer names
  }

  /** Under what was sent since, if that says something of the same name. */
  #putBack(name: string, resource: EnvoyResource | undefined): void {
    for (const { nonce } of this.unanswered) {
      const later = this.#replaced.get(nonce);
      if (later?.has(name)) {
        later.set(name, resource);
        return;
      }
    }
    if (resource === undefined) this.#held.delete(name);
    else this.#held.set(name, resource);
  }
}
