// Codes HW3xxx. See ../catalog.ts.
import type { CatalogEntry } from "../catalog.ts";

export const upstreams = {} as const satisfies Record<string, CatalogEntry>;
