// Whose credentials calls of Lambda are signed with, through both data planes: an emulated AWS verifies the signatures and lets only one role
// call the function. So 200 means that the call was signed as that role, 403 as somebody else.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type OutgoingHttpHeaders, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Signer } from "../../src/lib/aws/signer.ts";
import type { AwsCredentials } from "../../src/lib/aws/sigv4.ts";
import { all, parseXml, text } from "../../src/lib/aws/xml.ts";
import { envoyBootstrap } from "../../src/xds/bootstrap.ts";
import { findMoto, type RunningAws, startAws } from "../servers/aws.ts";
import { type RunningEnvoy, startEnvoy } from "../servers/envoy.ts";
import { freePorts } from "../servers/ports.ts";
import { ask, type Folder, folder, object, proxies, until } from "./gateway.ts";
import { type Running, start } from "./headworks.ts";

const region = "eu-west-1";
const system = "gloo-system";
const stsCluster = `sts_token_service_internal-${region}`;
const module = join(import.meta.dirname, "token-service.config.ts");

describe.skipIf(findMoto() === undefined)("credentials", () => {
  const temporary = mkdtempSync(join(tmpdir(), "aws-"));
  const tokenFile = join(temporary, "token");
  let aws: RunningAws;
  let sts: Awaited<ReturnType<typeof tokenService>>;
  /** May take roles and no more. */
  let user: AwsCredentials;
  /** May call the function. */
  let caller: string;
  /** May take roles and no more. */
  let hub: string;
  let ofCaller: AwsCredentials;
  let ofHub: AwsCredentials;

  beforeAll(async () => {
    aws = await startAws();
    sts = await tokenService(aws);
    await aws.createFunction("quote-fn");
    user = await aws.createUser("gateway", ["sts:AssumeRole"]);
    caller = await aws.createRole("caller", ["lambda:Invoke"]);
    hub = await aws.createRole("hub", ["sts:AssumeRole"]);
    writeFileSync(tokenFile, "head.payload.signature");
    await aws.enforcePolicies();
    const signer = new Signer({}, { sts: aws.url });
    const as = (roleArn: string) => signer.credentials({ region, roleArn, keys: user }, AbortSignal.timeout(60_000));
    ofCaller = await as(caller);
    ofHub = await as(hub);
  });
  afterAll(async () => {
    await sts?.[Symbol.asyncDispose]();
    await aws?.stop();
    rmSync(temporary, { recursive: true, force: true });
  });

  describe.each(proxies)("--proxy %s", (proxy) => {
    test("a Secret's keys, with session token or with a role; the environment's, with a role", async () => {
      using config = await folder();
      config.write("all.yaml", [
        settings({ enableCredentialsDiscovey: true }),
        secret("user", user),
        secret("caller", ofCaller),
        secret("hub", ofHub),
        ...lambda("own", { secretRef: { name: "user", namespace: system } }),
        ...lambda("role", { secretRef: { name: "user", namespace: system }, roleArn: caller }),
        ...lambda("token", { secretRef: { name: "caller", namespace: system } }),
        ...lambda("token-role", { secretRef: { name: "hub", namespace: system }, roleArn: caller }),
        ...lambda("env", {}),
        ...lambda("env-role", { roleArn: caller }),
      ]);
      const env = { AWS_ACCESS_KEY_ID: user.accessKeyId, AWS_SECRET_ACCESS_KEY: user.secretAccessKey };
      await using _gateway = await gateway(config, proxy, env);
      await answersWith(config, { own: 403, role: 200, token: 200, "token-role": 200, env: 403, "env-role": 200 });
    });

    test("a web identity takes its own role, another by way of it, or another directly", async () => {
      using config = await folder();
      config.write("all.yaml", [
        settings({ serviceAccountCredentials: { cluster: "sts", uri: "sts.eu-west-1.amazonaws.com" } }),
        ...lambda("own", {}),
        ...lambda("chained", { roleArn: caller }),
        ...lambda("direct", { roleArn: caller, disableRoleChaining: true }),
      ]);
      await using _gateway = await gateway(config, proxy, { AWS_WEB_IDENTITY_TOKEN_FILE: tokenFile, AWS_ROLE_ARN: hub });
      await answersWith(config, { own: 403, chained: 200, direct: 200 });
    });
  });

  /** The program, and for Envoy one of our own, with the environment of the case. */
  async function gateway(config: Folder, proxy: string, credentials: Record<string, string>): Promise<AsyncDisposable> {
    const env = { AWS_EC2_METADATA_DISABLED: "true", AWS_REGION: region, ...credentials };
    const endpoints = { AWS_ENDPOINT_URL_LAMBDA: aws.url, AWS_ENDPOINT_URL_STS: sts.url };
    const [xdsPort = 0, adminPort = 0] = await freePorts(2);
    const args = ["run", config.path, "--admin", `127.0.0.1:${config.adminPort}`, "--log", "pretty"];
    const more = proxy === "envoy" ? ["--proxy", "none", "--xds", `127.0.0.1:${xdsPort}`, "--config", module] : ["--proxy", proxy];
    const running: Running = start([...args, ...more], { env: { ...endpoints, ...(proxy !== "envoy" && env) } });
    let envoy: RunningEnvoy | undefined;
    try {
      await running.said(/ ready {2}/);
      if (proxy === "envoy") {
        const bootstrap = envoyBootstrap({
          proxy: "gloo-system~gateway-proxy",
          xds: { host: "127.0.0.1", port: xdsPort },
          admin: { port: adminPort },
        });
        envoy = await startEnvoy(bootstrap, adminPort, [], env);
        await until("Envoy has its own way to STS", async () => (await envoy?.admin("/clusters"))?.includes(stsCluster) ?? false);
        config.write("sts.yaml", object("Upstream", "sts", { tokenService: { region, port: sts.port } }));
      }
    } catch (error) {
      await running[Symbol.asyncDispose]();
      throw error;
    }
    return {
      async [Symbol.asyncDispose]() {
        await envoy?.[Symbol.asyncDispose]();
        await running[Symbol.asyncDispose]();
      },
    };
  }
});

/** A data plane may need a moment to take a role; until then it answers something else. */
async function answersWith({ port }: Folder, expected: Readonly<Record<string, number>>): Promise<void> {
  const got: Record<string, number | undefined> = {};
  await until(
    `${JSON.stringify(expected)}`,
    async () => {
      for (const name of Object.keys(expected)) got[name] = (await ask(port, `${name}.test`, "/", { method: "POST", body: "1" }))?.status;
      return JSON.stringify(got) === JSON.stringify(expected);
    },
    50_000,
  ).catch(() => undefined);
  expect(got).toEqual(expected);
}

function settings(awsOptions: object) {
  return object("Settings", "default", { gloo: { awsOptions } });
}

function secret(name: string, { accessKeyId, secretAccessKey, sessionToken = "" }: AwsCredentials) {
  return object("Secret", name, { aws: { accessKey: accessKeyId, secretKey: secretAccessKey, sessionToken } });
}

/** An Upstream with one function, and a domain that calls it. */
function lambda(name: string, credentials: object) {
  const lambdaFunctions = [{ logicalName: "quote", lambdaFunctionName: "quote-fn" }];
  const single = { upstream: { name, namespace: system }, destinationSpec: { aws: { logicalName: "quote" } } };
  return [
    object("Upstream", name, { aws: { region, lambdaFunctions, ...credentials } }),
    object("VirtualService", name, {
      virtualHost: { domains: [`${name}.test`], routes: [{ matchers: [{ prefix: "/" }], routeAction: { single } }] },
    }),
  ];
}

/**
 * The emulator's STS as AWS's is. It speaks JSON to those who ask for it, as Envoy does; it takes parameters in the query in any spelling; and
 * it takes the token of a web identity in the place of a signature, of which the emulator knows nothing once policies hold.
 */
async function tokenService(aws: RunningAws): Promise<AsyncDisposable & { readonly url: string; readonly port: number }> {
  let turn = Promise.resolve();
  const server = createServer((asked, answer) => {
    turn = turn.then(() => tokens(aws, asked, answer)).catch(() => void answer.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function tokens(aws: RunningAws, asked: IncomingMessage, answer: ServerResponse): Promise<void> {
  const chunks: Buffer[] = [];
  for await (const chunk of asked) chunks.push(chunk as Buffer);
  const body = Buffer.concat(chunks).toString();
  const [path = "/", query = ""] = (asked.url ?? "/").split("?");
  const parameters = new URLSearchParams(query || body);
  const action = parameters.get("Action") ?? "";
  const isSigned = asked.headers.authorization !== undefined;
  const host = asked.headers.host ?? "";
  if (action === "AssumeRoleWithWebIdentity") await aws.enforcePolicies(1);
  const said = isSigned
    ? await forward(aws, asked.method ?? "GET", query ? `${path}?${parameters}` : path, asked.rawHeaders, body)
    : await forward(aws, "POST", path, formHeaders(host, String(parameters)), String(parameters));
  if (said.status !== 200 || !asked.headers.accept?.includes("json")) {
    answer.writeHead(said.status, { "content-type": "text/xml" }).end(said.body);
    return;
  }
  const [found] = all(parseXml(said.body), `${action}Result`, "Credentials");
  const field = (name: string) => (found ? text(found, name) : "");
  const Credentials = {
    AccessKeyId: field("AccessKeyId"),
    SecretAccessKey: field("SecretAccessKey"),
    SessionToken: field("SessionToken"),
    Expiration: Date.parse(field("Expiration")) / 1000,
  };
  const result = { [`${action}Response`]: { [`${action}Result`]: { Credentials } } };
  answer.writeHead(200, { "content-type": "application/json" }).end(JSON.stringify(result));
}

function formHeaders(host: string, form: string): string[] {
  return ["host", host, "content-type", "application/x-www-form-urlencoded", "content-length", String(Buffer.byteLength(form))];
}

/** As it came: `host` is signed. */
function forward(aws: RunningAws, method: string, path: string, headers: readonly string[], body: string) {
  return new Promise<{ readonly status: number; readonly body: string }>((resolve, reject) => {
    const call = request(new URL(path, aws.url), { method, headers: [...headers] as unknown as OutgoingHttpHeaders }, (answer) => {
      let said = "";
      answer.setEncoding("utf8").on("data", (chunk: string) => {
        said += chunk;
      });
      answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body: said }));
    });
    call.on("error", reject).end(body);
  });
}
