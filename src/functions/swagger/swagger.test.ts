// Against real servers, hostile ones among them.
import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { gzipSync } from "node:zlib";
import { create, fromJson } from "@bufbuild/protobuf";
import { afterEach, expect, test } from "vitest";
import { type ServiceSpec, ServiceSpecSchema } from "../../gen/gloo/gloo/projects/gloo/api/v1/options/service_spec_pb.js";
import { UpstreamSchema } from "../../gen/gloo/gloo/projects/gloo/api/v1/upstream_pb.js";
import { bestOf } from "../../lib/testing/bestOf.ts";
import { resourceKey } from "../../model/ref.ts";
import type { FunctionTarget } from "../../plugin/function-kind.ts";
import { documentLimits, fetchDocument } from "./fetch-document.ts";
import { pathsAnnotation, swagger } from "./swagger.ts";

const servers: Server[] = [];

afterEach(() => {
  for (const each of servers.splice(0)) {
    each.closeAllConnections();
    each.close();
  }
});

async function serve(listener: RequestListener): Promise<number> {
  const server = createServer(listener);
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return (server.address() as AddressInfo).port;
}

function targetOf(port: number, annotations: Record<string, string> = {}): FunctionTarget {
  const ref = { namespace: "gloo-system", name: "till" };
  const spec = create(UpstreamSchema);
  const key = resourceKey("Upstream", ref);
  const upstream = {
    kind: "Upstream",
    key,
    ref,
    labels: {},
    annotations,
    spec,
    version: "1",
    problems: [],
    origin: { source: "memory" },
  } as const;
  return { upstream, address: "127.0.0.1", port, authority: `127.0.0.1:${port}` };
}

const signal = new AbortController().signal;
const ask = (target: FunctionTarget, begun?: ServiceSpec, memo?: unknown) => swagger.ask({ target, begun, memo, signal });
const document = JSON.stringify({ swagger: "2.0", paths: { "/a": { get: { operationId: "a" } } } });

test("Gloo's places are tried in order, after those of the annotation", async () => {
  const asked: string[] = [];
  const port = await serve(({ url = "" }, answer) => {
    asked.push(url);
    if (url === "/v2/swagger") answer.end(document);
    else answer.writeHead(404).end();
  });
  const answer = await ask(targetOf(port, { [pathsAnnotation]: "/docs.json, http://evil/x, /more.yaml" }));
  expect(asked).toEqual([
    "/docs.json",
    "/more.yaml",
    "/swagger.json",
    "/swagger/docs/v1",
    "/swagger/docs/v2",
    "/v1/swagger",
    "/v2/swagger",
  ]);
  expect(answer).toMatchObject({ kind: "found", found: { count: 1, spec: { pluginType: { case: "rest" } } } });
  const info =
    answer.kind === "found" && answer.found.spec.pluginType.case === "rest" ? answer.found.spec.pluginType.value.swaggerInfo : undefined;
  expect(info?.swaggerSpec).toEqual({ case: "url", value: `http://127.0.0.1:${port}/v2/swagger` });
});

test("the second question is cheap: one place, with the ETag", async () => {
  const asked: string[] = [];
  const port = await serve(({ url = "", headers }, answer) => {
    asked.push(`${url} ${headers["if-none-match"] ?? ""}`);
    if (headers["if-none-match"] === '"1"') answer.writeHead(304).end();
    else answer.setHeader("etag", '"1"').end(document);
  });
  const first = await ask(targetOf(port));
  if (first.kind !== "found") throw new Error("not found");
  expect(await ask(targetOf(port), undefined, first.found.memo)).toEqual({ kind: "unchanged" });
  expect(asked).toEqual(["/swagger.json ", '/swagger.json "1"']);
});

test("what a user began is completed: a place of its own, an inline document", async () => {
  const port = await serve(({ url }, answer) => (url === "/custom?x=1" ? answer.end(document) : answer.writeHead(404).end()));
  const begun = (swaggerInfo: { url: string } | { inline: string }) => fromJson(ServiceSpecSchema, { rest: { swaggerInfo } });
  const own = begun({ url: `http://127.0.0.1:${port}/custom?x=1` });
  expect(swagger.completes(own)).toBe(true);
  expect(await ask(targetOf(port), own)).toMatchObject({ kind: "found", found: { count: 1 } });
  expect(await ask(targetOf(port), begun({ inline: document }))).toMatchObject({ kind: "found", found: { count: 1 } });
  const bare = fromJson(ServiceSpecSchema, { rest: {} });
  expect(swagger.completes(bare)).toBe(true);
  const usual = await serve(({ url }, answer) => (url === "/v1/swagger" ? answer.end(document) : answer.writeHead(404).end()));
  const answer = await ask(targetOf(usual), bare);
  const spec = answer.kind === "found" ? answer.found.spec.pluginType.value : undefined;
  expect(spec).toMatchObject({ swaggerInfo: { swaggerSpec: { case: "url", value: `http://127.0.0.1:${usual}/v1/swagger` } } });
  for (const url of ["http://169.254.169.254/latest", "file:///etc/passwd", "http://127.0.0.1:1/x", "nonsense"])
    await expect(ask(targetOf(port), begun({ url })), url).rejects.toThrow("swaggerInfo.url is not at");
});

test("a redirect is followed on the same host and port, and nowhere else: the canary gets no request", async () => {
  let canary = 0;
  const other = await serve((_, answer) => {
    canary++;
    answer.end(document);
  });
  for (const location of [
    `http://127.0.0.1:${other}/swagger.json`,
    "http://169.254.169.254/",
    "file:///etc/passwd",
    `//127.0.0.1:${other}/x`,
    "http://[",
    "",
  ]) {
    const port = await serve((_, answer) => answer.writeHead(302, { location }).end());
    expect(await ask(targetOf(port)), location).toEqual({ kind: "absent" });
  }
  expect(canary).toBe(0);
  const port = await serve(({ url }, answer) =>
    url === "/real" ? answer.end(document) : answer.writeHead(301, { location: "/real" }).end(),
  );
  expect((await ask(targetOf(port))).kind).toBe("found");
});

type Hostile = (asked: IncomingMessage, answer: ServerResponse) => void;

const bomb = gzipSync(Buffer.alloc(50_000_000, 32));

/** What each ends by: the words of the error, or nothing where it is the time that ends it, or a broken connection. */
const hostile: Record<string, [Hostile, string]> = {
  "an endless body": [(_, answer) => flood(answer), "more than 100000 bytes"],
  "a gzip bomb": [(_, answer) => answer.setHeader("content-encoding", "gzip").end(bomb), "more than 100000 bytes"],
  "gzip in gzip": [(_, answer) => answer.setHeader("content-encoding", Array(1_000).fill("gzip").join(",")).end("x"), "is encoded as"],
  "no gzip where it says so": [(_, answer) => answer.setHeader("content-encoding", "gzip").end("{}"), "incorrect header check"],
  "a byte at a time": [(_, answer) => drip(answer), ""],
  "no answer": [() => {}, ""],
  "half an answer": [(_, answer) => answer.write("{", () => answer.destroy()), ""],
  "huge headers": [(_, answer) => answer.setHeader("x", "y".repeat(200_000)).end(document), ""],
};

test.each(Object.entries(hostile))("%s ends within the limits", async (_, [listener, message]) => {
  const port = await serve(listener);
  const timeoutMs = message === "" ? 500 : 60_000;
  const limits = { ...documentLimits, maxBytes: 100_000, timeoutMs };
  const took = await bestOf(3, 2_000, async () => {
    const before = performance.now();
    await expect(fetchDocument(targetOf(port), "/", undefined, signal, limits)).rejects.toThrow(message);
    return performance.now() - before;
  });
  expect(took).toBeLessThan(2_000);
});

test("an HTML page with status 200, and a wrong content type with a document", async () => {
  const page = await serve((_, answer) => answer.setHeader("content-type", "application/json").end("<!doctype html><p>hello"));
  expect(await ask(targetOf(page))).toEqual({ kind: "absent" });
  const text = await serve((_, answer) => answer.setHeader("content-type", "text/html").end(document));
  expect((await ask(targetOf(text))).kind).toBe("found");
});

test("a document that is gone is an outage, not another service", async () => {
  const port = await serve((_, answer) => answer.writeHead(404).end());
  await expect(ask(targetOf(port), undefined, { path: "/swagger.json" })).rejects.toThrow("was there before, and now answers 404");
});

function flood(answer: ServerResponse): void {
  const more = () => {
    while (!answer.destroyed && answer.write("x".repeat(65_536)));
  };
  answer.on("drain", more);
  more();
}

function drip(answer: ServerResponse): void {
  const timer = setInterval(() => answer.write("x"), 20);
  answer.on("close", () => clearInterval(timer));
}
