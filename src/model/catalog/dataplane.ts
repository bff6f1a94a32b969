// Codes HW5xxx. See ../catalog.ts.
import type { CatalogEntry } from "../catalog.ts";

export const dataplane = {} as const satisfies Record<string, CatalogEntry>;
