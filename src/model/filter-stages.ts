// The order of HTTP filters, by name. A feature says `stage: "cors"`; nobody counts.

/** Gloo's stages, first to last (solo-io/gloo projects/gloo/pkg/plugins/staged_filters.go). */
export const filterStages = ["fault", "cors", "waf", "authn", "authz", "rateLimit", "accepted", "outAuth", "route"] as const;

export type FilterStage = (typeof filterStages)[number];

/** Where in its stage a filter stands; filters of the same place are ordered by name. */
export type FilterPlace = { readonly stage: FilterStage; readonly position?: "before" | "during" | "after" };
