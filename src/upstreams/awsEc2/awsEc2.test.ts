import { join } from "node:path";
import { create, fromJson, type JsonObject } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findMoto, type RunningAws, startAws } from "../../../test/servers/aws.ts";
import { features } from "../../builtins.ts";
import { SecretSchema } from "../../gen/gloo/gloo/projects/gloo/api/v1/secret_pb.js";
import { SettingsSchema } from "../../gen/gloo/gloo/projects/gloo/api/v1/settings_pb.js";
import { UpstreamSchema } from "../../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";
import type { AwsCredentials } from "../../lib/aws/sigv4.ts";
import { clusterStory } from "../../lib/testing/clusters.ts";
import { goldens, readGolden } from "../../lib/testing/golden.ts";
import { readmeExamples } from "../../lib/testing/readme.ts";
import { upstreamTypeContract } from "../../lib/testing/upstreamTypeContract.ts";
import type { Report } from "../../model/problem.ts";
import { resourceKey } from "../../model/ref.ts";
import type { Endpoint, EndpointUpdate, TypedUpstream } from "../../plugin/upstream-type.ts";
import { awsEc2 } from "./awsEc2.ts";

const testdata = join(import.meta.dirname, "testdata");
const sample = (name: string) => readGolden(join(testdata, name)).input;
const plugins = { upstreamTypes: { awsEc2: awsEc2() }, features };

goldens(testdata, (yaml) => clusterStory(yaml, plugins));
readmeExamples(join(import.meta.dirname, "README.md"));
upstreamTypeContract(awsEc2(), { good: sample("tags.yaml"), bad: sample("bad.yaml"), secrets: ["not-a-key"], features });

describe.skipIf(findMoto() === undefined)("instances of an emulated EC2", () => {
  let aws: RunningAws;
  beforeAll(async () => {
    aws = await startAws();
  });
  afterAll(() => aws?.stop());

  test("tags choose them; what stops goes; an outage and a refusal leave all as it was, and are told", async () => {
    const web = await runInstance(aws, { Shop: "1", tier: "web" });
    const db = await runInstance(aws, { shop: "1", tier: "db" });
    await runInstance(aws, {});
    await using watched = watch(aws.url, [
      upstream("web", { filters: [{ key: "SHOP" }, { kvPair: { key: "tier", value: "web" } }] }),
      upstream("shop", { port: 8080, filters: [{ key: "shop" }] }),
    ]);
    await expect.poll(() => watched.addresses("web")).toEqual([`${web.ip}:80`]);
    await expect.poll(() => watched.addresses("shop")).toEqual([`${db.ip}:8080`, `${web.ip}:8080`].sort());

    aws.signal("SIGSTOP");
    await expect.poll(() => watched.warnings()).toContain("did not answer");
    expect(watched.addresses("web")).toEqual([`${web.ip}:80`]);
    aws.signal("SIGCONT");

    await ec2(aws, `Action=StopInstances&InstanceId.1=${web.id}`);
    await expect.poll(() => watched.addresses("web")).toEqual([]);
    await expect.poll(() => watched.warnings()).toBe("");
    expect(watched.all()).not.toContain("test-key");
  });

  test("that nothing runs any more is believed when it stays so, also where it is the first answer", async () => {
    await using other = await startAws();
    const web = await runInstance(other, { tier: "web" });
    const held = upstream("held", { filters: [{ key: "tier" }] });
    await using watched = watch(other.url, [held]);
    await expect.poll(() => watched.addresses("held")).toEqual([`${web.ip}:80`]);

    await ec2(other, `Action=StopInstances&InstanceId.1=${web.id}`);
    await expect.poll(() => watched.warnings()).toContain("most instances are gone at once");
    expect(watched.addresses("held")).toEqual([`${web.ip}:80`]);
    await using restarted = watch(other.url, [held], { inService: [{ address: web.ip, port: 80 }] });
    await expect.poll(() => restarted.warnings()).toContain("most instances are gone at once");
    expect(restarted.addresses("held")).toBeUndefined();

    await expect.poll(() => watched.addresses("held")).toEqual([]);
    await expect.poll(() => restarted.addresses("held")).toEqual([]);
    await expect.poll(() => watched.warnings() + restarted.warnings()).toBe("");
  });

  test("the role of the Upstream looks, where the keys themselves may not", async () => {
    const web = await runInstance(aws, { role: "web" });
    const keys = await aws.createUser("gateway", ["sts:AssumeRole"]);
    const roleArn = await aws.createRole("looker", ["ec2:DescribeInstances"]);
    await aws.enforcePolicies();
    const filters = [{ key: "role" }];
    await using watched = watch(aws.url, [upstream("own", { filters }), upstream("role", { filters, roleArn })], { keys });
    await expect.poll(() => watched.addresses("role")).toEqual([`${web.ip}:80`]);
    await expect.poll(() => watched.warnings()).toContain("not authorized to perform: ec2:DescribeInstances");
    expect(watched.addresses("own")).toBeUndefined();
    expect(watched.all()).not.toContain(keys.secretAccessKey);
  });
});

async function ec2(aws: RunningAws, form: string): Promise<string> {
  return aws.call("ec2", "POST", "/", `${form}&Version=2016-11-15`, { "content-type": "application/x-www-form-urlencoded" });
}

async function runInstance(aws: RunningAws, tags: Readonly<Record<string, string>>) {
  const image = /<imageId>([^<]+)/.exec(await ec2(aws, "Action=DescribeImages"))?.[1];
  const list = Object.entries(tags).map(
    ([key, value], i) => `&TagSpecification.1.Tag.${i + 1}.Key=${key}&TagSpecification.1.Tag.${i + 1}.Value=${value}`,
  );
  const tagged = list.length > 0 ? `&TagSpecification.1.ResourceType=instance${list.join("")}` : "";
  const answer = await ec2(aws, `Action=RunInstances&ImageId=${image}&MinCount=1&MaxCount=1${tagged}`);
  return { id: /<instanceId>([^<]+)/.exec(answer)?.[1] ?? "", ip: /<privateIpAddress>([^<]+)/.exec(answer)?.[1] ?? "" };
}

function upstream(name: string, ec2: JsonObject): TypedUpstream<"awsEc2"> {
  const ref = { namespace: "gloo-system", name };
  const spec = fromJson(UpstreamSchema, {
    awsEc2: { region: "eu-west-1", secretRef: { name: "aws-keys", namespace: "gloo-system" }, ...ec2 },
  });
  if (spec.upstreamType.case !== "awsEc2") throw new Error("no awsEc2");
  return { key: resourceKey("Upstream", ref), ref, name: `${name}_gloo-system`, spec: spec.upstreamType.value, upstream: spec };
}

const testKeys = { accessKeyId: "AKIAEXAMPLE", secretAccessKey: "test-key" };

interface WatchOptions {
  readonly keys?: AwsCredentials;
  readonly inService?: readonly Endpoint[];
}

function watch(url: string, upstreams: readonly TypedUpstream<"awsEc2">[], { keys = testKeys, inService }: WatchOptions = {}) {
  const ended = new AbortController();
  const latest = new Map<string, EndpointUpdate>();
  const reports = new Map<string, Report>();
  const said: unknown[] = [];
  const log = (fields: object, message: string) => void said.push(fields, message);
  const secret = fromJson(SecretSchema, { aws: { accessKey: keys.accessKeyId, secretKey: keys.secretAccessKey } });
  const type = awsEc2({ AWS_ENDPOINT_URL: url }, { everyMs: 200, holdMs: 2_000 });
  const updates = type.endpoints?.(
    (async function* () {
      yield upstreams;
      await new Promise((resolve) => ended.signal.addEventListener("abort", resolve));
    })(),
    {
      signal: ended.signal,
      settings: () => create(SettingsSchema),
      secret: () => secret,
      endpointsInService: () => inService,
      report: (report) => void reports.set(report.resource ?? "", report),
      log: { debug: log, info: log, warn: log, error: log },
    },
  );
  const running = (async () => {
    for await (const update of updates ?? []) latest.set(update.key, update);
  })();
  return {
    addresses: (name: string) =>
      latest
        .get(upstream(name, {}).key)
        ?.endpoints.map(({ address, port }) => `${address}:${port}`)
        .sort(),
    warnings: () => [...reports.values()].flatMap(({ problems }) => problems.map(({ message }) => message)).join("\n"),
    all: () => JSON.stringify([said, [...reports.values()]]),
    async [Symbol.asyncDispose]() {
      ended.abort();
      await running;
    },
  };
}
