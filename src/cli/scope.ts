// How much was read.
import type { Finding } from "../control-plane.ts";
import { kinds, type Resource } from "../model/resource.ts";
import type { Scope } from "./findings.ts";
import { count } from "./terminal.ts";

/**
 * What stands in no file and no cluster (discovered Upstreams) was not read; of a cluster, only kinds of the API count. Files whose
 * objects are all broken, or are elsewhere as well, were read, too: they have findings.
 */
export function scopeOf(resources: Iterable<Resource>, findings: readonly Finding[]): Scope {
  const files = new Set(findings.flatMap(({ place }) => place?.file ?? []));
  let found = 0;
  for (const { kind, origin } of resources) {
    if (origin.file !== undefined) files.add(origin.file);
    else if (origin.source !== "kubernetes" || !(kind in kinds) || kind === "Secret" || kind === "Artifact") continue;
    found++;
  }
  return { resources: found, files: files.size };
}

/** `3 resources in 2 files`, `12 resources` */
export function scopeText({ resources, files }: Scope): string {
  return `${count(resources, "resource")}${files > 0 ? ` in ${count(files, "file")}` : ""}`;
}
