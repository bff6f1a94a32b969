// Against an emulated AWS that verifies signatures and holds everybody to their policies: what is allowed shows whose credentials signed.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer, type RequestListener } from "node:http";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findMoto, type RunningAws, startAws } from "../../../test/servers/aws.ts";
import { queryAws } from "./client.ts";
import { environmentCredentials } from "./credentials.ts";
import { Signer } from "./signer.ts";
import type { AwsCredentials } from "./sigv4.ts";

const region = "eu-west-1";
const signal = () => AbortSignal.timeout(60_000);

describe.skipIf(findMoto() === undefined)("an emulated AWS", () => {
  const folder = mkdtempSync(join(tmpdir(), "aws-"));
  const tokenFile = join(folder, "token");
  let aws: RunningAws;
  let user: AwsCredentials;
  let role: string;
  beforeAll(async () => {
    aws = await startAws();
    // The user may take the role and no more; the role may look.
    user = await aws.createUser("gateway", ["sts:AssumeRole"]);
    role = await aws.createRole("looker", ["ec2:DescribeInstances"]);
    writeFileSync(tokenFile, "head.payload.signature\n");
  });
  afterAll(async () => {
    await aws?.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const endpoints = () => ({ sts: aws.url, ec2: aws.url });
  const signer = (env: Record<string, string> = {}) => new Signer({ AWS_EC2_METADATA_DISABLED: "true", ...env }, endpoints());
  const userEnv = () => ({ AWS_ACCESS_KEY_ID: user.accessKeyId, AWS_SECRET_ACCESS_KEY: user.secretAccessKey });

  /** What becomes of a look at the instances. */
  const look = (credentials: AwsCredentials) =>
    queryAws(
      { service: "ec2", region, endpoints: endpoints(), credentials, signal: signal() },
      { Action: "DescribeInstances", Version: "2016-11-15" },
    ).then(
      (answer) => answer.name,
      (error: Error) => (error as { readonly code?: string }).code ?? String(error),
    );

  test("the environment's keys are its own; with a role they are the role's, session token included", async () => {
    await aws.enforcePolicies();
    const own = await signer(userEnv()).credentials({ region, roleArn: "" }, signal());
    expect(own).toEqual(user);
    expect(await look(own)).toBe("AccessDenied");
    const taken = await signer(userEnv()).credentials({ region, roleArn: role }, signal());
    expect(await look(taken)).toBe("DescribeInstancesResponse");
    expect(await look({ accessKeyId: taken.accessKeyId, secretAccessKey: taken.secretAccessKey })).toBe("AuthFailure");
    expect(await look({ ...taken, secretAccessKey: "another" })).toBe("AuthFailure");
  });

  test("a Secret's keys win over the environment's, and take the role", async () => {
    await aws.enforcePolicies();
    const env = { AWS_ACCESS_KEY_ID: "AKIANOBODY", AWS_SECRET_ACCESS_KEY: "of-nobody" };
    const taken = await signer(env).credentials({ region, roleArn: role, keys: user }, signal());
    expect(await look(taken)).toBe("DescribeInstancesResponse");
    await expect(signer(env).credentials({ region, roleArn: role }, signal())).rejects.toMatchObject({ name: "AwsError" });
  });

  test("temporary keys of a Secret or of the environment need their session token", async () => {
    await aws.enforcePolicies();
    const taken = await signer().credentials({ region, roleArn: role, keys: user }, signal());
    const env = { AWS_ACCESS_KEY_ID: taken.accessKeyId, AWS_SECRET_ACCESS_KEY: taken.secretAccessKey };
    const withToken = await signer({ ...env, AWS_SESSION_TOKEN: taken.sessionToken ?? "" }).credentials({ region, roleArn: "" }, signal());
    expect(await look(withToken)).toBe("DescribeInstancesResponse");
    const without = await signer(env).credentials({ region, roleArn: "" }, signal());
    expect(await look(without)).toBe("AuthFailure");
  });

  test("a web identity takes the role of the service account, without any key", async () => {
    // The emulator knows no unsigned calls once it enforces policies.
    await aws.enforcePolicies(1);
    const env = { AWS_WEB_IDENTITY_TOKEN_FILE: tokenFile, AWS_ROLE_ARN: role };
    const taken = await signer(env).credentials({ region, roleArn: "" }, signal());
    expect(taken.sessionToken).toBeTruthy();
    expect(await look(taken)).toBe("DescribeInstancesResponse");
  });

  test("a web identity takes the Upstream's role by way of its own, or directly", async () => {
    const hub = await createRoleUnenforced("hub", ["sts:AssumeRole"]);
    const env = { AWS_WEB_IDENTITY_TOKEN_FILE: tokenFile, AWS_ROLE_ARN: hub };
    await aws.enforcePolicies(1);
    expect(await look(await signer(env).credentials({ region, roleArn: "" }, signal()))).toBe("AccessDenied");
    await aws.enforcePolicies(1);
    expect(await look(await signer(env).credentials({ region, roleArn: role }, signal()))).toBe("DescribeInstancesResponse");
    await aws.enforcePolicies(1);
    const direct = await signer(env).credentials({ region, roleArn: role, isDirect: true }, signal());
    expect(await look(direct)).toBe("DescribeInstancesResponse");
  });

  test("what is taken is kept, and taken anew when it was refused or another role is wanted", async () => {
    await aws.enforcePolicies();
    const kept = signer(userEnv());
    const first = await kept.credentials({ region, roleArn: role }, signal());
    expect(await kept.credentials({ region, roleArn: role }, signal())).toBe(first);
    expect(await kept.credentials({ region, roleArn: "" }, signal())).toEqual(user);
    const again = await kept.credentials({ region, roleArn: role }, signal());
    expect(again.accessKeyId).not.toBe(first.accessKeyId);
    kept.forget();
    expect((await kept.credentials({ region, roleArn: role }, signal())).accessKeyId).not.toBe(again.accessKeyId);
  });

  test("who may not take the role is told so, without the key", async () => {
    const nobody = await createUserUnenforced("nobody");
    await aws.enforcePolicies();
    const failure = await signer()
      .credentials({ region, roleArn: role, keys: nobody }, signal())
      .catch((error: Error) => error);
    expect(failure).toMatchObject({ name: "AwsError", code: "AccessDenied" });
    expect(String(failure)).not.toContain(nobody.secretAccessKey);
  });

  const unlimited = 1_000_000;
  async function createRoleUnenforced(name: string, actions: readonly string[]): Promise<string> {
    await aws.enforcePolicies(unlimited);
    return aws.createRole(name, actions);
  }
  async function createUserUnenforced(name: string): Promise<AwsCredentials> {
    await aws.enforcePolicies(unlimited);
    return aws.createUser(name, ["s3:ListBuckets"]);
  }
});

describe("credentials that the machine hands out", () => {
  const expires = new Date(Date.now() + 3_600_000).toISOString();
  const document = JSON.stringify({ AccessKeyId: "AKIAMACHINE", SecretAccessKey: "s", Token: "t", Expiration: expires });
  const found = { accessKeyId: "AKIAMACHINE", secretAccessKey: "s", sessionToken: "t", expiresAt: Date.parse(expires) };
  const ask = (env: Record<string, string>) => environmentCredentials({ env, region, endpoints: {}, signal: signal() });

  test("a container's, with the token that its file has", async () => {
    const folder = mkdtempSync(join(tmpdir(), "aws-"));
    const file = join(folder, "token");
    writeFileSync(file, "of-the-pod\n");
    await using server = await serve((asked, answer) => {
      const isRight = asked.url === "/v1/credentials" && asked.headers.authorization === "of-the-pod";
      answer.writeHead(isRight ? 200 : 403).end(isRight ? document : "");
    });
    const env = { AWS_CONTAINER_CREDENTIALS_FULL_URI: `${server.url}/v1/credentials`, AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE: file };
    expect(await ask(env)).toEqual(found);
    writeFileSync(file, "of-another");
    await expect(ask(env)).rejects.toThrow("answered 403");
    rmSync(folder, { recursive: true });
  });

  test("a container's address that is neither of the machine nor over TLS is not asked", async () => {
    expect(
      await ask({ AWS_CONTAINER_CREDENTIALS_FULL_URI: "http://credentials.example.com/", AWS_EC2_METADATA_DISABLED: "true" }),
    ).toBeUndefined();
  });

  test("an instance's, by a session; none where there is no instance", async () => {
    await using server = await serve((asked, answer) => {
      if (asked.method === "PUT" && asked.url === "/latest/api/token") return answer.end("session");
      if (asked.headers["x-aws-ec2-metadata-token"] !== "session") return answer.writeHead(401).end();
      const folder = "/latest/meta-data/iam/security-credentials/";
      if (asked.url === folder) return answer.end("gateway role\n");
      return asked.url === `${folder}gateway%20role` ? answer.end(document) : answer.writeHead(404).end();
    });
    expect(await ask({ AWS_EC2_METADATA_SERVICE_ENDPOINT: server.url })).toEqual(found);
    const gone = server.url;
    await server[Symbol.asyncDispose]();
    expect(await ask({ AWS_EC2_METADATA_SERVICE_ENDPOINT: gone })).toBeUndefined();
  });
});

async function serve(listener: RequestListener): Promise<AsyncDisposable & { readonly url: string }> {
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
