// Codes HW2xxx. See ../catalog.ts.
import type { CatalogEntry } from "../catalog.ts";

export const routing = {} as const satisfies Record<string, CatalogEntry>;
