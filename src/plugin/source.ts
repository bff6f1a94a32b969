// The contract of a source: where configuration comes from (files, Kubernetes, Consul, memory).
import type { Change } from "../model/change.ts";
import type { Place, Problem } from "../model/problem.ts";
import type { ResourceKey } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";

/** What a source says at once. The first batch of a source holds all it has. */
export interface SourceBatch {
  readonly changes: readonly Change[];
  /**
   * Findings about places that belong to no resource (a file that cannot be read), by place; an empty list clears a place.
   * Findings about a resource travel in `Resource.problems`.
   */
  readonly problems?: ReadonlyMap<string, readonly Problem[]>;
  /** When the source noticed the change, for latency metrics; `performance.now()`. */
  readonly noticedAt?: number;
}

/** How a source that lives elsewhere is doing. */
export interface SourceHealth {
  /** `starting`: nothing was said yet. `partly`: some of it cannot be read. `unreachable`: nothing can. */
  readonly state: "starting" | "following" | "partly" | "unreachable";
  /** Since when it is in this state; ISO 8601. What is served is from then, where it is `unreachable`. */
  readonly since: string;
  /** One sentence for each thing that is wrong. */
  readonly faults: readonly string[];
}

export interface Source {
  readonly name: string;
  /** Runs until the signal aborts. Bad input never ends it; an outage yields nothing and is retried. */
  watch(signal: AbortSignal): AsyncIterable<SourceBatch>;
  /** All there is, once: for `check` and `translate`. */
  read(): Promise<SourceBatch>;
  /** The place of a field of a resource (path as in {@link Problem.path}), or the nearest parent that is written; undefined when unknown. */
  locate(resource: Resource, path?: string): Place | undefined;
  /** Of a source that can be away. */
  health?(): SourceHealth;
  /** The text around a place, for code frames. */
  text?(file: string): string | undefined;
}

/** What is known from before a restart: objects that were in service, and in which file they stood. */
export interface Remembered {
  readonly key: ResourceKey;
  readonly resource: Resource;
}
