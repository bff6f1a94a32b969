// Notices at once when one of a few objects, known by their names, changes: somebody puts back what we wrote, another replica renews it.
import type { KubeApi } from "../lib/kubernetes/api.ts";
import { pause } from "../lib/kubernetes/backoff.ts";
import type { ResourceType } from "../lib/kubernetes/object.ts";
import { reflect } from "../lib/kubernetes/reflector.ts";
import type { Logger } from "../plugin/upstream-type.ts";

export interface NamedObject {
  readonly type: ResourceType;
  readonly namespace?: string;
  readonly name: string;
}

/** Who may not watch asks again soon. */
const deafMs = 30_000;
/** Nobody waits for us to be allowed. */
const backoff = { firstMs: 500, mostMs: 40_000 };

export class Changes implements AsyncDisposable {
  readonly #ended = new AbortController();
  readonly #following: readonly Promise<void>[];
  readonly #unheard = new Set<NamedObject>();
  #hasRung = false;
  #wake: () => void = () => undefined;

  constructor(api: KubeApi, objects: readonly NamedObject[], log: Logger) {
    this.#following = objects.map((each) =>
      this.#follow(api, each).catch((fault: unknown) => {
        // It is looked at every now and then.
        this.#unheard.add(each);
        log.error(
          { name: each.name, error: String((fault as Error)?.stack ?? fault) },
          "changes of the webhook's objects are not heard of",
        );
      }),
    );
  }

  /** Waits for the next change since the last call; so long at most, and shorter where changes cannot be heard of. */
  async next(mostMs: number, signal: AbortSignal): Promise<void> {
    const rest = new AbortController();
    this.#wake = () => rest.abort();
    const ms = this.#unheard.size > 0 ? Math.min(mostMs, deafMs) : mostMs;
    if (!this.#hasRung) await pause(ms, AbortSignal.any([signal, rest.signal]));
    this.#hasRung = false;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#ended.abort();
    await Promise.all(this.#following);
  }

  /** With its name as a selector, the right to watch this one object is enough. */
  #follow(api: KubeApi, object: NamedObject): Promise<void> {
    const { type, namespace, name } = object;
    const ring = () => {
      this.#hasRung = true;
      this.#wake();
    };
    this.#unheard.add(object);
    const sink = {
      apply: ring,
      delete: ring,
      synced: () => void this.#unheard.delete(object),
      fault: (error: unknown) => void (error === undefined ? this.#unheard.delete(object) : this.#unheard.add(object)),
    };
    const { signal } = this.#ended;
    const fieldSelector = `metadata.name=${name}`;
    return reflect(api, type, sink, { ...(namespace !== undefined && { namespace }), fieldSelector, signal, backoff });
  }
}
