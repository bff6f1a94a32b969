// What the program is given besides configuration: the types of Upstreams and the features it knows. builtins.ts lists ours,
// headworks.config.ts adds the user's.
import type { Feature } from "./feature.ts";
import type { AnyUpstreamType } from "./upstream-type.ts";

export interface Plugins {
  /** By kind. */
  readonly upstreamTypes: Readonly<Record<string, AnyUpstreamType>>;
  /** In the order in which they refine what has been built. */
  readonly features: readonly Feature[];
}
