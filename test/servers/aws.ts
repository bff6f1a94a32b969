// An AWS for tests: moto, the emulator, started and stopped with the scope. Lambda answers what was queued, or echoes its payload.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { type AwsCredentials, sign } from "../../src/lib/aws/sigv4.ts";
import { freePort } from "./ports.ts";

const region = "eu-west-1";
export const awsKeys = { accessKeyId: "AKIAEXAMPLE", secretAccessKey: "test-key" };

/** The folder of packages that pip filled; undefined when it is not there. */
export function findMoto(): string | undefined {
  const folder = join(process.env.HEADWORKS_CACHE ?? join(homedir(), ".cache", "headworks"), "moto-5.2");
  return existsSync(join(folder, "moto", "server.py")) ? folder : undefined;
}

export interface RunningAws extends AsyncDisposable {
  readonly url: string;
  /** A signed request; the answer's body. */
  call(service: string, method: string, path: string, body?: string, headers?: Readonly<Record<string, string>>): Promise<string>;
  createFunction(name: string): Promise<void>;
  /** A role that anybody may take, and what it may do: `ec2:DescribeInstances`. */
  createRole(name: string, actions: readonly string[]): Promise<string>;
  /** Keys of somebody who may do this and no more. */
  createUser(name: string, actions: readonly string[]): Promise<AwsCredentials>;
  /** From now on signatures are verified and policies hold, but for the next calls, so many. */
  enforcePolicies(but?: number): Promise<void>;
  /** What the next invocations answer, one each. */
  answers(...bodies: readonly string[]): Promise<void>;
  /** SIGSTOP or SIGCONT: it hangs, and comes back. */
  signal(signal: "SIGSTOP" | "SIGCONT"): void;
  stop(): Promise<void>;
}

export async function startAws(port?: number): Promise<RunningAws> {
  const folder = findMoto();
  if (folder === undefined) throw new Error("moto is not there: pip install --target ~/.cache/headworks/moto-5.2 'moto[server]==5.2.*'");
  const own = port ?? (await freePort());
  const url = `http://127.0.0.1:${own}`;
  const child = spawn("python3", ["-c", `from moto.server import main; main(["-H", "127.0.0.1", "-p", "${own}"])`], {
    env: { ...process.env, PYTHONPATH: folder, AWS_ACCESS_KEY_ID: "x", AWS_SECRET_ACCESS_KEY: "x" },
    stdio: ["ignore", "ignore", "pipe"],
  });
  let log = "";
  child.stderr?.on("data", (chunk: Buffer) => {
    log = (log + chunk.toString()).slice(-100_000);
  });
  const exited = new Promise<void>((resolve) => child.once("exit", () => resolve()));
  const stop = async () => {
    child.kill("SIGKILL");
    await exited;
  };
  const post = (path: string, body: object) =>
    fetch(`${url}${path}`, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
  const begun = performance.now();
  for (;;) {
    if (child.exitCode !== null) throw new Error(`moto ended with ${child.exitCode}:\n${log}`);
    if (
      await post("/moto-api/config", { lambda: { use_docker: false } }).then(
        (answer) => answer.ok,
        () => false,
      )
    )
      break;
    if (performance.now() - begun > 90_000) {
      await stop();
      throw new Error(`moto did not come up:\n${log}`);
    }
    await delay(50);
  }
  const call: RunningAws["call"] = async (service, method, path, body = "", headers = {}) => {
    const all = { host: `127.0.0.1:${own}`, ...headers };
    const signed = sign({ method, path, headers: all, body }, { service, region, credentials: awsKeys, now: new Date() });
    const answer = await fetch(`${url}${path}`, { method, headers: { ...headers, ...signed }, ...(body !== "" && { body }) });
    const text = await answer.text();
    if (!answer.ok) throw new Error(`${service} ${method} ${path}: ${answer.status} ${text}`);
    return text;
  };
  const form = { "content-type": "application/x-www-form-urlencoded" };
  const policy = (actions: readonly string[]) => {
    const statements = actions.length === 0 ? [] : [{ Effect: "Allow", Action: actions, Resource: "*" }];
    return encodeURIComponent(JSON.stringify({ Version: "2012-10-17", Statement: statements }));
  };
  const iam = (query: string) => call("iam", "POST", "/", `${query}&Version=2010-05-08`, form);
  await iam(`Action=CreateRole&RoleName=fn&AssumeRolePolicyDocument=${policy([])}`);
  return {
    url,
    call,
    async createFunction(name) {
      const code = { ZipFile: "UEsFBgAAAAAAAAAAAAAAAAAAAAAAAA==" };
      const body = {
        FunctionName: name,
        Runtime: "nodejs20.x",
        Role: "arn:aws:iam::123456789012:role/fn",
        Handler: "index.handler",
        Code: code,
      };
      await call("lambda", "POST", "/2015-03-31/functions", JSON.stringify(body), { "content-type": "application/json" });
    },
    async createRole(name, actions) {
      await iam(`Action=CreateRole&RoleName=${name}&AssumeRolePolicyDocument=${policy(["sts:AssumeRole"])}`);
      await iam(`Action=PutRolePolicy&RoleName=${name}&PolicyName=may&PolicyDocument=${policy(actions)}`);
      return `arn:aws:iam::123456789012:role/${name}`;
    },
    async createUser(name, actions) {
      await iam(`Action=CreateUser&UserName=${name}`);
      await iam(`Action=PutUserPolicy&UserName=${name}&PolicyName=may&PolicyDocument=${policy(actions)}`);
      const key = await iam(`Action=CreateAccessKey&UserName=${name}`);
      const field = (tag: string) => new RegExp(`<${tag}>([^<]+)`).exec(key)?.[1] ?? "";
      return { accessKeyId: field("AccessKeyId"), secretAccessKey: field("SecretAccessKey") };
    },
    async enforcePolicies(but = 0) {
      await fetch(`${url}/moto-api/reset-auth`, { method: "POST", body: String(but) });
    },
    async answers(...bodies) {
      await post("/moto-api/static/lambda-simple/response", { results: bodies, region });
    },
    signal: (signal) => void child.kill(signal),
    stop,
    [Symbol.asyncDispose]: stop,
  };
}
