// Lists of functions from a Lambda that may be slow, away, hostile, or another than it was.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { fromJson, type JsonObject } from "@bufbuild/protobuf";
import { afterEach, expect, test } from "vitest";
import { SecretSchema } from "../../gen/gloo/gloo/projects/gloo/api/v1/secret_pb.js";
import { SettingsSchema } from "../../gen/gloo/gloo/projects/gloo/api/v1/settings_pb.js";
import { UpstreamSchema } from "../../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";
import { Latest } from "../../lib/latest.ts";
import { eventually } from "../../lib/testing/eventually.ts";
import type { Report } from "../../model/problem.ts";
import { resourceKey } from "../../model/ref.ts";
import type { TypedUpstream } from "../../plugin/upstream-type.ts";
import { lambdaFunctions } from "./functions.ts";

type Answer = (request: IncomingMessage, response: ServerResponse, marker: string) => void;

const open: (() => void)[] = [];
afterEach(() => {
  for (const close of open.splice(0)) close();
});

/** A Lambda that answers what it is told to, and remembers what it was asked. */
async function lambda(answer: Answer) {
  const current = { answer };
  const asked: { readonly url: string; readonly authorization: string }[] = [];
  const server: Server = createServer((request, response) => {
    const { url = "", headers } = request;
    asked.push({ url, authorization: String(headers.authorization) });
    current.answer(request, response, new URL(url, "http://x").searchParams.get("Marker") ?? "");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  open.push(() => {
    server.closeAllConnections();
    server.close();
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked, current };
}

const page = (names: readonly string[], next?: string): string =>
  JSON.stringify({
    Functions: names.map((each) => ({ FunctionName: each.split(":")[0], Version: each.split(":")[1] ?? "$LATEST" })),
    NextMarker: next ?? null,
  });
const gives =
  (...names: string[]): Answer =>
  (_, response) =>
    response.end(page(names));
const refuses =
  (status: number, type: string, message: string): Answer =>
  (_, response) =>
    response.writeHead(status, { "x-amzn-errortype": type }).end(JSON.stringify({ __type: type, message }));

function upstream(name: string, aws: JsonObject = {}): TypedUpstream<"aws"> {
  const ref = { namespace: "gloo-system", name };
  const spec = fromJson(UpstreamSchema, { aws: { region: "eu-west-1", secretRef: { name: "keys", namespace: "gloo-system" }, ...aws } });
  if (spec.upstreamType.case !== "aws") throw new Error("no aws");
  return { key: resourceKey("Upstream", ref), ref, name: `${name}_gloo-system`, spec: spec.upstreamType.value, upstream: spec };
}

function discover(url: string, first: readonly TypedUpstream<"aws">[], settings: JsonObject = {}, env: Record<string, string> = {}) {
  const ended = new AbortController();
  open.push(() => ended.abort());
  const lists = new Latest<string, readonly TypedUpstream<"aws">[]>(ended.signal);
  const say = (...upstreams: TypedUpstream<"aws">[]) => lists.put("list", upstreams);
  const found = new Map<string, string[]>();
  const reports = new Map<string, Report>();
  const said: unknown[] = [];
  const log = (fields: object, message: string) => void said.push(fields, message);
  const secrets = { keys: fromJson(SecretSchema, { aws: { accessKey: "AKIAEXAMPLE", secretKey: "canary-secret" } }) };
  let yields = 0;
  void (async () => {
    for await (const { key, spec } of lambdaFunctions(
      lists,
      {
        signal: ended.signal,
        settings: () => fromJson(SettingsSchema, settings),
        secret: ({ name }) => (name === "keys" ? secrets.keys : undefined),
        report: (report) => void reports.set(report.resource ?? "", report),
        log: { debug: log, info: log, warn: log, error: log },
      },
      {
        env,
        endpoints: { lambda: url, sts: url },
        pace: { firstMs: 0, everyMs: 30, retryMs: 20, mostMs: 60, holdMs: 1_500 },
      },
    )) {
      yields++;
      const type = spec.upstreamType;
      if (type.case === "aws")
        found.set(
          key,
          type.value.lambdaFunctions.map((each) => `${each.logicalName}=${each.qualifier}`),
        );
    }
  })();
  say(...first);
  return {
    say,
    secrets,
    names: (name = "fn") => found.get(upstream(name).key),
    yields: () => yields,
    warnings: (name = "fn") => (reports.get(upstream(name).key)?.problems ?? []).map(({ message }) => message).join("\n"),
    everything: () => JSON.stringify([said, [...reports.values()]]),
  };
}

test("all versions of all pages, by Gloo's names; one list serves all Upstreams with the same credentials", async () => {
  const { url, asked } = await lambda((_, response, marker) =>
    response.end(marker === "" ? page(["quote", "quote:1"], "a/b+c=") : page(["add:12"])),
  );
  const story = discover(url, [upstream("fn"), upstream("other")]);
  await eventually(() => story.names(), ["add:12=12", "quote=$LATEST", "quote:1=1"]);
  expect(story.names("other")).toEqual(story.names());
  expect(asked[0]?.url).toBe("/2015-03-31/functions/?FunctionVersion=ALL&MaxItems=50");
  expect(asked[0]?.authorization).toContain("Credential=AKIAEXAMPLE/");
  expect(asked[1]?.url).toContain("Marker=a%2Fb%2Bc%3D");
  expect(story.yields()).toBe(2);
});

test("functions come and go; an Upstream that joins is told what is known", async () => {
  const { url, current } = await lambda(gives("a", "b"));
  const story = discover(url, [upstream("fn")]);
  await eventually(() => story.names(), ["a=$LATEST", "b=$LATEST"]);
  current.answer = gives("b", "c");
  await eventually(() => story.names(), ["b=$LATEST", "c=$LATEST"]);
  current.answer = refuses(500, "ServiceException", "no");
  story.say(upstream("fn"), upstream("late"));
  await eventually(() => story.names("late"), ["b=$LATEST", "c=$LATEST"]);
});

const faults: Record<string, [Answer, string]> = {
  "an outage": [(request) => void request.socket.destroy(), "did not answer"],
  throttling: [refuses(429, "TooManyRequestsException", "Rate exceeded"), "Rate exceeded"],
  "a refusal": [refuses(403, "AccessDeniedException", "not authorized to perform: lambda:ListFunctions"), "not authorized"],
  "a clock that is wrong": [refuses(403, "InvalidSignatureException", "Signature expired"), "Signature expired"],
  "a page of HTML": [(_, response) => void response.end("<html></html>"), "something else than a list"],
  "HTML with an error": [(_, response) => void response.writeHead(502).end("<html>bad gateway</html>"), "answered 502"],
  "no list": [(_, response) => void response.end('{"Functions": null}'), "something else than a list"],
  "pages in a circle": [(_, response) => void response.end(page(["x"], "again")), "the same page again and again"],
  "pages without an end": [(_, response, marker) => void response.end(page([], String(Number(marker) + 1))), "more than 400 pages"],
  "a redirect": [(_, response) => void response.writeHead(301, { location: "http://127.0.0.1:1/" }).end(), "did not answer"],
};

test.each(Object.entries(faults))("%s leaves the functions as they are, and is told", async (_, [fault, text]) => {
  const { url, current, asked } = await lambda(gives("a"));
  const story = discover(url, [upstream("fn")]);
  await eventually(() => story.names(), ["a=$LATEST"]);
  current.answer = fault;
  await eventually(() => story.warnings().includes(text), true);
  expect(story.warnings()).toContain("functions stay as they are");
  const before = asked.length;
  current.answer = gives("a", "b");
  await eventually(() => story.names(), ["a=$LATEST", "b=$LATEST"]);
  await eventually(() => story.warnings(), "");
  expect(asked.length).toBeGreaterThan(before);
  expect(story.everything()).not.toContain("canary-secret");
});

test("a list that is empty of a sudden, or lacks most after an outage, is believed when it stays so", async () => {
  const { url, current } = await lambda(gives("a", "b", "c"));
  const story = discover(url, [upstream("fn")]);
  await eventually(() => story.names()?.length, 3);
  current.answer = gives();
  await eventually(() => story.warnings().includes("gone at once"), true);
  expect(story.names()?.length).toBe(3);
  await eventually(() => story.names(), []);
  await eventually(() => story.warnings(), "");
});

test("a first list that is empty takes nothing away at once: there may have been functions before a restart", async () => {
  const { url, asked, current } = await lambda(gives());
  const story = discover(url, [upstream("fn")]);
  await eventually(() => asked.length > 2, true);
  expect([story.names(), story.warnings()]).toEqual([undefined, ""]);
  await eventually(() => story.names(), []);
  current.answer = gives("a");
  await eventually(() => story.names(), ["a=$LATEST"]);
});

test("names that no route could use are left out and named, and 10,000 functions are enough", async () => {
  const names = ["../../x", "a b", "\u00e4", "ok", "", "x".repeat(200), "bad:version"];
  const { url, current } = await lambda((_, response) =>
    response.end(JSON.stringify({ Functions: [...JSON.parse(page(names)).Functions, null, 3, {}] })),
  );
  const story = discover(url, [upstream("fn")]);
  await eventually(() => story.names(), ["ok=$LATEST"]);
  await eventually(() => story.warnings().includes('"../../x:$LATEST"'), true);
  current.answer = gives(...Array.from({ length: 100_000 }, (_, i) => `f${i}`));
  await eventually(() => story.names()?.length, 10_000);
  await eventually(() => story.warnings().includes("functions after the first 10000"), true);
});

test("without credentials nobody is asked; a Secret that comes is seen", async () => {
  const { url, asked } = await lambda(gives("a"));
  const noEnvironment = discover(url, [upstream("fn", { secretRef: null })], {}, { AWS_ACCESS_KEY_ID: "x", AWS_SECRET_ACCESS_KEY: "y" });
  const noSecret = discover(url, [upstream("fn", { secretRef: { name: "late", namespace: "gloo-system" } })]);
  const noRegion = discover(url, [upstream("fn", { region: "" })]);
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(asked).toEqual([]);
  expect([noEnvironment, noSecret, noRegion].map((each) => each.warnings())).toEqual(["", "", ""]);
});

test("where the Settings say so, the environment's credentials are used", async () => {
  const { url, asked } = await lambda(gives("a"));
  const settings = { gloo: { awsOptions: { enableCredentialsDiscovey: true } } };
  const story = discover(url, [upstream("fn", { secretRef: null })], settings, { AWS_ACCESS_KEY_ID: "OFENV", AWS_SECRET_ACCESS_KEY: "y" });
  await eventually(() => story.names(), ["a=$LATEST"]);
  expect(asked[0]?.authorization).toContain("Credential=OFENV/");
});

test("a role is assumed once, and its credentials sign the lists", async () => {
  const expires = new Date(Date.now() + 3_600_000).toISOString();
  const sts = `<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>OFROLE</AccessKeyId><SecretAccessKey>s</SecretAccessKey><SessionToken>t</SessionToken><Expiration>${expires}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>`;
  const { url, asked } = await lambda((request, response) => response.end(request.url === "/" ? sts : page(["a"])));
  const story = discover(url, [upstream("fn", { roleArn: "arn:aws:iam::123456789012:role/lister" })]);
  await eventually(() => story.names(), ["a=$LATEST"]);
  await eventually(() => asked.filter((each) => each.url !== "/").length > 2, true);
  expect(asked.filter((each) => each.url === "/").length).toBe(1);
  expect(asked.filter((each) => each.url !== "/").every((each) => each.authorization.includes("Credential=OFROLE/"))).toBe(true);
});

test("an Upstream that goes is asked for no more", async () => {
  const { url, asked } = await lambda(gives("a"));
  const story = discover(url, [upstream("fn")]);
  await eventually(() => story.names(), ["a=$LATEST"]);
  story.say();
  await new Promise((resolve) => setTimeout(resolve, 60));
  const before = asked.length;
  await new Promise((resolve) => setTimeout(resolve, 200));
  expect(asked.length).toBe(before);
});
