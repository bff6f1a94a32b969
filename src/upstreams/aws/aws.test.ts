import { join } from "node:path";
import { expect, test } from "vitest";
import { features } from "../../builtins.ts";
import { clusterStory } from "../../lib/testing/clusters.ts";
import { refusalOf } from "../../lib/testing/envoyValidate.ts";
import { goldens, readGolden } from "../../lib/testing/golden.ts";
import { readmeExamples } from "../../lib/testing/readme.ts";
import { upstreamTypeContract } from "../../lib/testing/upstreamTypeContract.ts";
import { aws } from "./aws.ts";

const testdata = join(import.meta.dirname, "testdata");
const sample = (name: string) => readGolden(join(testdata, name)).input;
const plugins = { upstreamTypes: { aws: aws() }, features };

/** Without the texts of the scripts: what they do is tested in a real Envoy. */
const withoutLua = (story: unknown) =>
  JSON.parse(JSON.stringify(story), (key, value) => (key === "inlineString" && !String(value).startsWith("[default]") ? "Lua" : value));

goldens(testdata, (yaml) => withoutLua(clusterStory(yaml, plugins)));
readmeExamples(join(import.meta.dirname, "README.md"));

upstreamTypeContract(aws(), {
  good: `${sample("secret.yaml")}---\n${sample("environment.yaml")}`,
  bad: sample("bad.yaml"),
  secrets: ["not-a-key", "hunter2"],
  features,
});

test("a stock Envoy takes credentials of every sort, and Lambda beside other options", () => {
  const clusters = ["service-account.yaml", "secret-role.yaml", "options.yaml"].flatMap(
    (name) => clusterStory(sample(name), plugins).clusters ?? [],
  );
  expect(clusters.length).toBe(4);
  expect(refusalOf(clusters)).toBeUndefined();
});

test("a cluster says of itself what its scripts tell functions", () => {
  const settings = `kind: Settings
metadata: { name: default, namespace: gloo-system }
spec: { gloo: { awsOptions: { propagateOriginalRouting: true } } }
---
`;
  const metadata = (yaml: string) => clusterStory(yaml, plugins).clusters?.map((cluster) => (cluster as { metadata?: object }).metadata);
  expect(metadata(settings + sample("secret.yaml"))).toContainEqual({ filterMetadata: { "headworks.aws_lambda": { tells_origin: true } } });
  expect(metadata(sample("secret.yaml"))).not.toContainEqual(expect.anything());
});

test("an endpoint of the environment is dialled in the place of AWS's, in the clear where it is http", () => {
  const { clusters } = clusterStory(sample("secret.yaml"), {
    upstreamTypes: { aws: aws({ AWS_ENDPOINT_URL_LAMBDA: "http://127.0.0.1:5000" }) },
    features,
  });
  const text = JSON.stringify(clusters);
  expect(text).toContain('"address":"127.0.0.1","portValue":5000');
  expect(text).toContain('"hostRewrite":"127.0.0.1:5000"');
  expect(text).not.toContain("transport_sockets.tls");
});
