// Codes HW6xxx. See ../catalog.ts.
import type { CatalogEntry } from "../catalog.ts";

export const sources = {} as const satisfies Record<string, CatalogEntry>;
