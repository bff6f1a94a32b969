// What `kubectl describe` and `kubectl get events` show: that a resource has become bad, or good again.
import type { KubeApi } from "../../lib/kubernetes/api.ts";
import type { ResourceType } from "../../lib/kubernetes/object.ts";
import type { State } from "../../model/status.ts";
import type { Condition } from "./status-object.ts";
import type { StoredObject } from "./stored.ts";

const events: ResourceType = { group: "", version: "v1", plural: "events", kind: "Event", isNamespaced: true };

/** So many at once, and so many a second after that: a thousand resources that lose the same Secret need no thousand events. */
const ofAll = { burst: 25, perSecond: 1 };
/** Of one object: one that is good and bad by turns leaves the others room, as client-go has it. */
const ofOne = { burst: 5, perSecond: 1 / 60 };
/** Objects that are counted. Those that have been quiet for long are as good as new. */
const mostCounted = 1_000;

export class EventRecorder {
  readonly #api: KubeApi;
  readonly #instance: string;
  readonly #all = new Tokens(ofAll);
  readonly #byUid = new Map<string, Tokens>();

  /** `instance`: which replica says it. */
  constructor(api: KubeApi, instance: string) {
    this.#api = api;
    this.#instance = instance;
  }

  /** Throws a KubeError; an event that does not come through is not sent again. */
  async record(object: StoredObject, apiVersion: string, state: State, { reason, message }: Condition): Promise<void> {
    if (!this.#mayTell(object.uid)) return;
    const now = new Date().toISOString().replace(/\.\d+Z$/, "Z");
    const { namespace, name, uid, resourceVersion, type } = object;
    await this.#api.create(
      events,
      {
        apiVersion: "v1",
        kind: "Event",
        metadata: { namespace, name: `${name.slice(0, 200)}.${Date.now().toString(16)}${Math.random().toString(16).slice(2, 8)}` },
        involvedObject: { apiVersion, kind: type.kind, namespace, name, uid, resourceVersion },
        type: state === "Accepted" ? "Normal" : "Warning",
        reason: state === "Accepted" ? "Accepted" : reason,
        message: state === "Accepted" ? "the configuration is in service" : `${state}: ${message}`.slice(0, 1000),
        source: { component: "headworks" },
        reportingComponent: "headworks.io/control-plane",
        reportingInstance: this.#instance,
        firstTimestamp: now,
        lastTimestamp: now,
        count: 1,
      },
      { timeoutMs: 5_000 },
    );
  }

  #mayTell(uid: string): boolean {
    const own = this.#byUid.get(uid) ?? new Tokens(ofOne);
    this.#byUid.delete(uid);
    this.#byUid.set(uid, own);
    for (const [oldest] of this.#byUid) {
      if (this.#byUid.size <= mostCounted) break;
      this.#byUid.delete(oldest);
    }
    return own.take() && this.#all.take();
  }
}

class Tokens {
  readonly #rate: { readonly burst: number; readonly perSecond: number };
  #left: number;
  #countedAt = performance.now();

  constructor(rate: { readonly burst: number; readonly perSecond: number }) {
    this.#rate = rate;
    this.#left = rate.burst;
  }

  take(): boolean {
    const { burst, perSecond } = this.#rate;
    const now = performance.now();
    this.#left = Math.min(burst, this.#left + ((now - this.#countedAt) / 1000) * perSecond);
    this.#countedAt = now;
    if (this.#left < 1) return false;
    this.#left--;
    return true;
  }
}
