// Helm 3, for tests of the chart: built once.
import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import { buildWithGo, cachedIn } from "./go-build.ts";

const version = "3.21.3";
const folder = `helm-${version}`;

/** `$HELM_BIN`, the cache that the test set-up fills, or PATH. */
export function findHelm(): string | undefined {
  const candidates = [
    process.env.HELM_BIN,
    join(cachedIn(folder), "helm"),
    ...(process.env.PATH ?? "").split(delimiter).map((each) => join(each, "helm")),
  ];
  return candidates.find((path) => path !== undefined && path !== "" && existsSync(path));
}

/** About a minute. */
export function installHelm(): void {
  buildWithGo({ folder, binary: "helm", package: "helm.sh/helm/v3/cmd/helm", version });
}

/** Runs Helm; its output. Throws with what it said on stderr. */
export function helm(...args: string[]): string {
  const binary = findHelm();
  if (binary === undefined) throw new Error("Helm is not there: set HELM_BIN");
  return execFileSync(binary, args, { encoding: "utf8", maxBuffer: 64 * 1024 * 1024 });
}
