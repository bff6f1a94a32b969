// Codes HW4xxx. See ../catalog.ts.
import type { CatalogEntry } from "../catalog.ts";

export const xds = {} as const satisfies Record<string, CatalogEntry>;
