import { join } from "node:path";
import { features } from "../../builtins.ts";
import { clusterStory } from "../../lib/testing/clusters.ts";
import { goldens, readGolden } from "../../lib/testing/golden.ts";
import { readmeExamples } from "../../lib/testing/readme.ts";
import { upstreamTypeContract } from "../../lib/testing/upstreamTypeContract.ts";
import { azure } from "./azure.ts";

const testdata = join(import.meta.dirname, "testdata");
const sample = (name: string) => readGolden(join(testdata, name)).input;

goldens(testdata, (yaml) => clusterStory(yaml));
readmeExamples(join(import.meta.dirname, "README.md"));

upstreamTypeContract(azure, {
  good: sample("functions.yaml"),
  bad: sample("bad.yaml"),
  secrets: ["master-key", "price-key", "hunter2", "other-key"],
  features,
});
