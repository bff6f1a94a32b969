// The only three things a source can say.

import type { ResourceKey } from "./ref.ts";
import type { Resource } from "./resource.ts";

/** `reset` replaces everything this source has said before: what it does not list is gone. */
export type Change =
  | { readonly kind: "apply"; readonly resource: Resource }
  | { readonly kind: "delete"; readonly key: ResourceKey }
  | { readonly kind: "reset"; readonly resources: readonly Resource[] };
