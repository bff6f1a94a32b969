// Lambda functions are found by themselves: they appear in the Upstream, a route that names one calls it, and what is known outlives
// AWS and a restart.
import { connect, createServer, type Server } from "node:net";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { awsKeys, findMoto, type RunningAws, startAws } from "../servers/aws.ts";
import { ask, type Folder, folder, object, proxies, until } from "./gateway.ts";
import { headworks, type Running, start } from "./headworks.ts";

const isMissing = findMoto() === undefined || !proxies.includes("envoy");
if (isMissing) console.warn("SKIPPED: moto or Envoy is not there; discovery of Lambda functions was not tried.");

describe.skipIf(isMissing)("discovery of Lambda functions", () => {
  let aws: RunningAws;
  let line: Line;
  let config: Folder;
  let gateway: Running;

  const serve = async () => {
    gateway = start(
      [
        "run",
        config.path,
        "--admin",
        `127.0.0.1:${config.adminPort}`,
        "--proxy",
        "envoy",
        "--state-dir",
        `${config.path}/.state`,
        "--log",
        "pretty",
      ],
      { env: { AWS_ENDPOINT_URL_LAMBDA: line.url } },
    );
    await gateway.said(/ ready {2}/);
  };
  const functions = async (): Promise<readonly string[]> => {
    const answer = await fetch(`http://127.0.0.1:${config.adminPort}/api/v1/resources?kind=Upstream`);
    const { items } = (await answer.json()) as {
      items: { metadata: { name: string }; spec: { aws?: { lambdaFunctions?: { logicalName: string }[] } } }[];
    };
    return items.find(({ metadata }) => metadata.name === "lambda")?.spec.aws?.lambdaFunctions?.map(({ logicalName }) => logicalName) ?? [];
  };

  beforeAll(async () => {
    [aws, config] = await Promise.all([startAws(), folder()]);
    line = await lineTo(Number(new URL(aws.url).port));
    await aws.createFunction("quote");
    config.write("lambda.yaml", [
      object("Secret", "aws-keys", { aws: { accessKey: awsKeys.accessKeyId, secretKey: awsKeys.secretAccessKey } }),
      object("Upstream", "lambda", { aws: { region: "eu-west-1", secretRef: { name: "aws-keys", namespace: "gloo-system" } } }),
      object("VirtualService", "all", { virtualHost: { domains: ["*"], routes: [route("/quote", "quote"), route("/late", "late")] } }),
    ]);
    await serve();
  });
  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]();
    line?.server.close();
    await aws?.stop();
    config?.[Symbol.dispose]();
  });

  test("a function that nobody wrote down is called, and is shown in the Upstream", async () => {
    await until(
      "the function answers",
      async () => (await ask(config.port, "any", "/quote", { method: "POST", body: '{"n":3}' }))?.body === '{"n":3}',
      30_000,
    );
    expect(await functions()).toEqual(["quote"]);
    const { stdout } = await headworks(["get", "upstream", "lambda", "-o", "yaml", "--server", `http://127.0.0.1:${config.adminPort}`]);
    expect(stdout).toMatch(/lambdaFunctions:\n\s+- logicalName: quote\n\s+lambdaFunctionName: quote\n\s+qualifier: \$LATEST/);
    expect(stdout).not.toContain(awsKeys.secretAccessKey);
    expect((await ask(config.port, "any", "/late"))?.status).not.toBe(200);
  });

  test("what is known outlives a restart while AWS is away; when it is back, what is new is found", async () => {
    line.isDown = true;
    await gateway[Symbol.asyncDispose]();
    await serve();
    expect(await functions()).toEqual(["quote"]);
    await until("the outage is told", async () => (await upstreamStatus(config.adminPort)).includes("were not listed"), 20_000);
    expect(await functions()).toEqual(["quote"]);
    await aws.createFunction("late");
    line.isDown = false;
    await until(
      "the new function answers",
      async () => (await ask(config.port, "any", "/late", { method: "POST", body: "[1]" }))?.body === "[1]",
      30_000,
    );
    expect(await functions()).toEqual(["late", "quote"]);
    expect(await upstreamStatus(config.adminPort)).not.toContain("were not listed");
  });
});

async function upstreamStatus(adminPort: number): Promise<string> {
  const { stdout } = await headworks(["get", "upstream", "lambda", "-o", "wide", "--server", `http://127.0.0.1:${adminPort}`]);
  return stdout;
}

function route(prefix: string, logicalName: string) {
  const single = { upstream: { name: "lambda", namespace: "gloo-system" }, destinationSpec: { aws: { logicalName } } };
  return { matchers: [{ prefix }], routeAction: { single } };
}

/** The way to AWS, which can be cut. */
interface Line {
  readonly url: string;
  readonly server: Server;
  isDown: boolean;
}

async function lineTo(port: number): Promise<Line> {
  const server = createServer((near) => {
    if (line.isDown) return void near.destroy();
    const far = connect(port, "127.0.0.1");
    near.on("error", () => far.destroy()).on("close", () => far.destroy());
    far.on("error", () => near.destroy()).on("close", () => near.destroy());
    near.pipe(far).pipe(near);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const line: Line = { url: `http://127.0.0.1:${(server.address() as { port: number }).port}`, server, isDown: false };
  return line;
}
