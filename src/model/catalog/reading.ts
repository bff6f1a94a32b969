// Codes HW1xxx. See ../catalog.ts.
import type { CatalogEntry } from "../catalog.ts";

export const reading = {} as const satisfies Record<string, CatalogEntry>;
