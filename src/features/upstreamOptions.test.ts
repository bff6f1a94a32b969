// Options that Upstreams share: a golden each, and a real Envoy that takes what is served.
import { globSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { clusterStory } from "../lib/testing/clusters.ts";
import { refusalOf } from "../lib/testing/envoyValidate.ts";
import { goldens, readGolden } from "../lib/testing/golden.ts";

const folder = join(import.meta.dirname, "testdata/upstreams");

goldens(folder, (yaml) => clusterStory(yaml));

test("a stock Envoy takes every cluster of these goldens", () => {
  const files = globSync("*.yaml", { cwd: folder });
  const clusters = files.flatMap((file) =>
    (clusterStory(readGolden(join(folder, file)).input).clusters ?? []).map((cluster) => renamed(cluster as ClusterJson, file)),
  );
  expect(clusters.length).toBeGreaterThan(20);
  expect(refusalOf(clusters)).toBeUndefined();
});

interface ClusterJson {
  readonly name: string;
}

/** Names are unique in one Envoy, not among goldens. */
function renamed(cluster: ClusterJson, file: string): ClusterJson {
  return { ...cluster, name: `${file} ${cluster.name}` };
}
