// Options that Upstreams share: a golden each, and a real Envoy that takes what is served.
import { globSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { clusterStory } from "../lib/testing/clusters.ts";
import { refusalOf } from "../lib/testing/envoyValidate.ts";
import { goldens, readGolden } from "../lib/testing/golden.ts";

const folder = join(import.meta.dirname, "testdata/upstreams");

goldens(folder, (yaml) => clusterStory(yaml));

test("a stock Envoy takes all clusters and listeners of these goldens", () => {
  const files = globSync("*.yaml", { cwd: folder });
  const stories = files.map((file) => clusterStory(readGolden(join(folder, file)).input));
  const named = uniqueByName(stories.flatMap(({ clusters = [] }) => clusters as Named[]));
  expect(named.length).toBeGreaterThan(20);
  expect(
    refusalOf(
      named,
      stories.flatMap(({ listeners = [] }) => listeners),
    ),
  ).toBeUndefined();
});

interface Named {
  readonly name: string;
}

/** Names are unique in one Envoy, not among goldens. */
function uniqueByName(clusters: readonly Named[]): Named[] {
  return [...new Map(clusters.map((cluster) => [cluster.name, cluster])).values()];
}
