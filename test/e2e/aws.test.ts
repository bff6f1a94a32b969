// Lambda end to end: a request in, the function runs (in the emulator of AWS), its answer out, through both data planes.
import { request } from "node:http";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { awsKeys, findMoto, type RunningAws, startAws } from "../servers/aws.ts";
import { type Folder, folder, object, proxies, until } from "./gateway.ts";
import { type Running, start } from "./headworks.ts";

if (findMoto() === undefined) console.warn("SKIPPED: moto, the emulator of AWS, is not there; Lambda was not tried.");

describe.skipIf(findMoto() === undefined).each(proxies)("Lambda through %s", (proxy) => {
  let aws: RunningAws;
  let config: Folder;
  let gateway: Running;

  beforeAll(async () => {
    [aws, config] = await Promise.all([startAws(), folder()]);
    await aws.createFunction("quote-fn");
    config.write("lambda.yaml", [
      secret(awsKeys.accessKeyId, awsKeys.secretAccessKey),
      object("Upstream", "lambda", {
        aws: {
          region: "eu-west-1",
          secretRef: { name: "aws-keys", namespace: "gloo-system" },
          lambdaFunctions: [
            { logicalName: "quote", lambdaFunctionName: "quote-fn", qualifier: "$LATEST" },
            { logicalName: "gone", lambdaFunctionName: "gone-fn" },
          ],
        },
      }),
      object("VirtualService", "all", { virtualHost: { domains: ["*"], routes } }),
    ]);
    gateway = start(["run", config.path, "--admin", `127.0.0.1:${config.adminPort}`, "--proxy", proxy, "--log", "pretty"], {
      env: { AWS_ENDPOINT_URL_LAMBDA: aws.url },
    });
    await gateway.said(/ ready {2}/);
    const status = () =>
      send("/none").then(
        (answer) => answer.status,
        () => 0,
      );
    await until("a request comes as far as the functions", async () => (await status()) === 500);
  });
  afterAll(async () => {
    await gateway?.[Symbol.asyncDispose]();
    await aws?.[Symbol.asyncDispose]();
    config?.[Symbol.dispose]();
  });

  const send = (path: string, options: Options = {}) => sendTo(config.port, path, options);

  test("the body is the payload, and what the function returns is the body", async () => {
    expect(await send("/plain", { body: '{"amount":3}' })).toMatchObject({ status: 200, body: '{"amount":3}' });
    expect(await send("/account", { body: "[1]" })).toMatchObject({ status: 200, body: "[1]" });
  });

  test("an asynchronous call is answered at once", async () => {
    expect(await send("/async", { body: "{}" })).toMatchObject({ status: 202 });
  });

  test("a route that names no function is 500", async () => {
    expect(await send("/none")).toMatchObject({ status: 500 });
  });

  test("requestTransformation sends the whole request as an event", async () => {
    const { body } = await send("/event/a%20b?x=1&y=2&x=3&z=a%26b", {
      body: 'say "hi"\n',
      headers: { "x-one": "1", "content-type": "text/plain" },
    });
    const event = JSON.parse(body);
    expect(event).toMatchObject({
      body: 'say "hi"\n',
      httpMethod: "POST",
      path: "/event/a%20b",
      queryString: "x=1&y=2&x=3&z=a%26b",
      queryStringParameters: { x: "3", y: "2", z: "a&b" },
      multiValueQueryStringParameters: { x: ["1", "3"] },
    });
    expect(event.headers).toMatchObject({ ":method": "POST", ":authority": "fn.test", "x-one": "1", "content-type": "text/plain" });
    const empty = JSON.parse((await send("/event")).body);
    expect(empty).toMatchObject({ httpMethod: "GET", queryString: "", queryStringParameters: {} });
    expect(empty.body).toBeUndefined();
  });

  test("unwrapAsAlb makes the response that the function describes", async () => {
    const answer = await send("/alb", {
      body: JSON.stringify({
        statusCode: 201,
        headers: { "X-Kind": "tea \u00e9\ud83c\udf75" },
        multiValueHeaders: { "set-cookie": ["a=1", "b=2"] },
        body: Buffer.from([0, 255, 10, 65]).toString("base64"),
        isBase64Encoded: true,
      }),
    });
    expect(answer.status).toBe(201);
    expect(Buffer.from(String(answer.headers["x-kind"]), "latin1").toString("utf8")).toBe("tea \u00e9\ud83c\udf75");
    expect(answer.headers["set-cookie"]).toEqual(["a=1", "b=2"]);
    expect([...answer.bytes]).toEqual([0, 255, 10, 65]);
    for (const body of [
      "no json",
      "[1]",
      '{"statusCode":"201"}',
      '{"headers":{"a":1}}',
      '{"body":1}',
      '{"statusCode":201',
      '{"statusCode":999}',
    ]) {
      expect(await send("/alb", { body }), body).toMatchObject({ status: 500, body: "" });
    }
    expect(await send("/alb", { body: '{"headers":{"a\\r\\nb":"c","ok":"x\\r\\ny: z"}, "body":"fine"}' })).toMatchObject({
      status: 200,
      body: "fine",
    });
  });

  test("unwrapAsApiGateway does as API Gateway does", async () => {
    const answer = await send("/gateway", {
      body: '{"statusCode":418,"headers":{"x-n":5,"x-o":{"a":[1, 2.50,"b\\\\n"]}},"multiValueHeaders":{"x-m":["a","b"]},"body":{"z":1,"deep":[1, {"x":"y"}]}}',
    });
    expect(answer).toMatchObject({ status: 418, body: '{"deep":[1,{"x":"y"}],"z":1}' });
    expect(answer.headers).toMatchObject({ "x-n": "5", "x-o": '{"a":[1,2.50,"b\\\\n"]}', "x-m": "a,b" });
    expect(await send("/gateway", { body: "{}" })).toMatchObject({ status: 200, body: "{}" });
    const failed = await send("/gateway", { body: "no json" });
    expect(failed).toMatchObject({ status: 500, body: "500: failed to parse response body as JSON" });
    expect(failed.headers).toMatchObject({ "content-type": "text/plain", "x-amzn-errortype": "500" });
  });

  test("several functions share a route by weight", async () => {
    expect(await send("/weighted", { body: "1" })).toMatchObject({ status: 200, body: "1" });
  });

  test("the secret is in no answer of the admin API and in no log", async () => {
    config.write("lambda-secret.yaml", secret("AKIAEXAMPLE", "canary-secret-key", "canary"));
    for (const path of ["/api/v1/proxies", "/api/v1/resources", "/snapshots/proxies", "/snapshots/input", "/snapshots/xds"]) {
      const answer = await fetch(`http://127.0.0.1:${config.adminPort}${path}`);
      expect([path, answer.status]).toEqual([path, 200]);
      expect(await answer.text()).not.toContain(awsKeys.secretAccessKey);
    }
    expect(gateway.stderr()).not.toContain(awsKeys.secretAccessKey);
    expect(gateway.stdout()).not.toContain(awsKeys.secretAccessKey);
  });
});

const to = (aws?: object) => ({ upstream: { name: "lambda", namespace: "gloo-system" }, ...(aws && { destinationSpec: { aws } }) });
const route = (prefix: string, aws?: object) => ({ matchers: [{ prefix }], routeAction: { single: to(aws) } });
const routes = [
  route("/plain", { logicalName: "quote" }),
  route("/account", { logicalName: "quote" }),
  route("/async", { logicalName: "quote", invocationStyle: "ASYNC", unwrapAsAlb: true }),
  route("/event", { logicalName: "quote", requestTransformation: true }),
  route("/alb", { logicalName: "quote", unwrapAsAlb: true }),
  route("/gateway", { logicalName: "quote", unwrapAsApiGateway: true }),
  route("/gone", { logicalName: "gone" }),
  route("/none"),
  {
    matchers: [{ prefix: "/weighted" }],
    routeAction: {
      multi: {
        destinations: [
          { destination: to({ logicalName: "quote" }), weight: 1 },
          { destination: to({ logicalName: "gone" }), weight: 0 },
        ],
      },
    },
  },
];

function secret(accessKey: string, secretKey: string, name = "aws-keys") {
  return object("Secret", name, { aws: { accessKey, secretKey } });
}

interface Options {
  readonly body?: string;
  readonly headers?: Record<string, string>;
}

function sendTo(port: number, path: string, { body, headers }: Options) {
  return new Promise<{ status: number; headers: Record<string, unknown>; body: string; bytes: Buffer }>((resolve, reject) => {
    const asked = request(
      { host: "127.0.0.1", port, path, method: body === undefined ? "GET" : "POST", headers: { host: "fn.test", ...headers } },
      (answer) => {
        const chunks: Buffer[] = [];
        answer.on("data", (chunk: Buffer) => chunks.push(chunk));
        answer.on("error", reject);
        answer.on("end", () => {
          const bytes = Buffer.concat(chunks);
          resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: bytes.toString("utf8"), bytes });
        });
      },
    );
    asked.on("error", reject);
    asked.end(body);
  });
}
