// Every reason a Problem can have, with its stable code and the page that `headworks help CODE` prints.
// One file an area under catalog/; codes: 1xxx reading, 2xxx routing, 3xxx Upstreams, 4xxx xDS, 5xxx embedded data plane,
// 6xxx sources and discovery, 9xxx plug-ins and internals. A code is never reused.
import { dataplane } from "./catalog/dataplane.ts";
import { internal } from "./catalog/internal.ts";
import { reading } from "./catalog/reading.ts";
import { routing } from "./catalog/routing.ts";
import { sources } from "./catalog/sources.ts";
import { upstreams } from "./catalog/upstreams.ts";
import { xds } from "./catalog/xds.ts";

export interface CatalogEntry {
  readonly code: `HW${number}`;
  /** A few words: `unknown field`. */
  readonly title: string;
  /** What it means, why it matters and how to mend it; plain Markdown, a few sentences, perhaps a YAML example. */
  readonly help: string;
  /** What to do, in one line, for findings that have no better hint of their own. */
  readonly cure?: string;
}

export const catalog = { ...reading, ...routing, ...upstreams, ...xds, ...dataplane, ...sources, ...internal } as const satisfies Record<
  string,
  CatalogEntry
>;

export type Reason = keyof typeof catalog;

/** The cure for all findings of a reason. */
export function cureOf(reason: string): string | undefined {
  return Object.hasOwn(catalog, reason) ? (catalog as Readonly<Record<string, CatalogEntry>>)[reason]?.cure : undefined;
}
