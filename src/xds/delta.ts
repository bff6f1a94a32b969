// The incremental variant: only what differs from what the client has is sent.
import { typeUrls } from "../model/envoy-resource.ts";
import { type Push, Subscription } from "./subscription.ts";
import { hasLegacyWildcard, wildcard } from "./wildcard.ts";
import { type DeltaRequest, deltaResponse, type ResponseHead } from "./wire.ts";

export class DeltaSubscription extends Subscription {
  #isFirst = true;

  /** Changes of subscription count whatever the nonce is; only ACK and NACK belong to a nonce. */
  receive(request: DeltaRequest): void {
    const isFirst = this.#isFirst;
    this.#isFirst = false;
    if (isFirst) this.#begin(request);
    else this.#continue(request);
    this.#settle(request);
  }

  /** Envoy answers each response in order, also when all answers had to wait; a refusal says nothing about others. */
  #settle({ nonce, error }: DeltaRequest): void {
    if (error === undefined) {
      for (const response of this.answered(nonce)) this.ack(response);
      return;
    }
    const index = this.unanswered.findIndex((each) => each.nonce === nonce);
    if (index < 0) return;
    for (const refused of this.unanswered.splice(index, 1)) this.nack({ ...refused, nonces: [nonce] }, error);
  }

  /** A new stream says all that it wants, and with which versions it comes: what is equal is not sent, what is gone is removed. */
  #begin({ subscribe, unsubscribe, initialVersions }: DeltaRequest): void {
    const isLegacyWildcard = subscribe.length === 0 && unsubscribe.length === 0 && hasLegacyWildcard(this.typeUrl);
    this.isWildcard = isLegacyWildcard || subscribe.includes(wildcard);
    for (const name of subscribe) if (name !== wildcard) this.names.add(name);
    this.#unsubscribe(unsubscribe);
    for (const [name, version] of Object.entries(initialVersions)) if (this.covers(name)) this.setKnown(name, version);
    if (this.isWildcard) this.compareAll();
    for (const name of this.names) {
      if (Object.hasOwn(initialVersions, name)) this.compare(name);
      else this.ask(name);
    }
  }

  #continue({ subscribe, unsubscribe }: DeltaRequest): void {
    for (const name of subscribe) this.#subscribe(name);
    this.#unsubscribe(unsubscribe);
  }

  #subscribe(name: string): void {
    if (name === wildcard) {
      this.isWildcard = true;
      this.compareAll();
    } else {
      this.names.add(name);
      // A port may be free by now. Envoys ask for all listeners, and for none by name.
      if (this.typeUrl === typeUrls.listener) this.forgive(name);
      this.ask(name);
    }
  }

  /**
   * A client that has the wildcard and gives up a name does not know whether to keep the resource; it must be told. In all other
   * cases nothing is answered. Names that were never subscribed are let pass.
   */
  #unsubscribe(names: readonly string[]): void {
    for (const name of names) {
      if (name === wildcard) {
        this.isWildcard = false;
        this.dropUncovered();
      } else if (this.names.delete(name)) {
        if (this.isWildcard) this.ask(name);
        else this.drop(name);
      }
    }
  }

  protected override get saysRemovals(): boolean {
    return true;
  }

  protected override frame(head: ResponseHead, { changed, removed }: Push): Buffer {
    return deltaResponse(
      head,
      changed.map(({ resource }) => resource),
      removed.map(({ name }) => name),
    );
  }

  protected override undo(): void {}
}
