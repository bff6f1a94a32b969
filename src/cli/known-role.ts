// Notices the listener by which a control plane says that it does not know the role of a proxy; be it that its port is taken, and it is refused.
import { type EnvoyResource, type RefusedResource, type ResourceChanges, type ResourceTaker, typeUrls } from "../model/envoy-resource.ts";
import { unknownRoleOf } from "../xds/fallback.ts";

export class KnownRole implements ResourceTaker {
  readonly #taker: ResourceTaker;
  #name = "";
  #unknown: string | undefined;

  constructor(taker: ResourceTaker) {
    this.#taker = taker;
  }

  /** What the control plane says; undefined: it knows the role. */
  get unknown(): string | undefined {
    return this.#unknown;
  }

  apply(changes: ResourceChanges): Promise<readonly RefusedResource[]> {
    for (const { typeUrl, name } of changes.removals) if (typeUrl === typeUrls.listener && name === this.#name) this.#unknown = undefined;
    for (const resource of changes.upserts) this.#note(resource);
    return this.#taker.apply(changes);
  }

  check(resource: EnvoyResource): Promise<string | undefined> {
    this.#note(resource);
    return this.#taker.check(resource);
  }

  /** A listener that serves something is only sent to whom the control plane knows. */
  #note(resource: EnvoyResource): void {
    if (resource.typeUrl !== typeUrls.listener) return;
    this.#unknown = unknownRoleOf(resource);
    if (this.#unknown !== undefined) this.#name = resource.name;
  }
}
