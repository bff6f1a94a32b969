// What a pure function may know about the rest of the configuration.

import type { Ref } from "../model/ref.ts";
import type { ApiKind, KubeKind, Resource, Spec } from "../model/resource.ts";

/** Names and values that a resource must have. Fields are named as Kubernetes' field selectors name them: `status.podIP`. */
export type Wanted = Readonly<Record<string, string>>;

/**
 * Read access to everything else, as it is in service. Each read is remembered by the graph: when its answer changes, and
 * only then, the function that asked runs again. So read what you need, when you need it, and keep nothing between calls.
 */
export interface World {
  /** One resource as it is in service: the last good version when the newest is rejected; undefined when there is none. */
  get<K extends ApiKind | KubeKind>(kind: K, ref: Ref): Resource<K> | undefined;
  /**
   * All resources of a kind in a namespace (`undefined`: in all), ordered by namespace, then name. Who wants only those with some
   * labels, or some fields, says so: resources without them may be left out, and then do not make the function run again when
   * they change. Which ones really are is for an index to say; whoever asks looks at what comes.
   */
  list<K extends ApiKind | KubeKind>(kind: K, namespace?: string, labels?: Wanted, fields?: Wanted): readonly Resource<K>[];
  /** `Settings gloo-system/default`; the defaults of the API where there is none. */
  readonly settings: Spec<"Settings">;
}
