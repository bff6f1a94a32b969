// How much of a body is held, where a filter wants the whole of it or a request may have to be sent again: in the embedded data plane as in Envoy.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { http2Client } from "../../src/dataplane/testing/http2.ts";
import { type Processor, startProcessor } from "../../src/dataplane/testing/processor.ts";
import { type EchoRequest, type RawUpstream, rawUpstream } from "../../src/dataplane/testing/raw.ts";
import { type HcmInit, listenerMessage, type RouteInit, staticCluster } from "../../src/dataplane/testing/resources.ts";
import { packAny } from "../../src/envoy/encode.ts";
import { BufferSchema } from "../../src/gen/envoy/envoy/extensions/filters/http/buffer/v3/buffer_pb.js";
import { ExternalProcessorSchema } from "../../src/gen/envoy/envoy/extensions/filters/http/ext_proc/v3/ext_proc_pb.js";
import { outcomeOf } from "./compare.ts";
import { hasNoEnvoy, type ListedFilter, managerWith, toRoute } from "./filters.ts";
import { type Planes, startListeners } from "./planes.ts";
import { request } from "./requests.ts";

const limit = 1_000;
const window = 65_535;
const buffered = 2;
const host = {
  includeRequestAttemptCount: true,
  responseHeadersToAdd: [{ header: { key: "x-details", value: "%RESPONSE_CODE_DETAILS%" } }],
};
const again = {
  action: {
    case: "route",
    value: { clusterSpecifier: { case: "cluster", value: "a" }, retryPolicy: { retryOn: "5xx", numRetries: 2 } },
  },
};
const pathOf = ({ match }: RouteInit) => String(match?.pathSpecifier?.value ?? "");
const routes: readonly RouteInit[] = [
  toRoute("/low", {}, { requestBodyBufferLimit: 500n }),
  toRoute("/high", {}, { requestBodyBufferLimit: 5_000n }),
  toRoute("/old-low", {}, { perRequestBufferLimitBytes: 500 }),
  toRoute("/old-high", {}, { perRequestBufferLimitBytes: 5_000 }),
  toRoute("/again", {}, again),
  toRoute("/again-low", {}, { ...again, requestBodyBufferLimit: 500n }),
  toRoute("/again-high", {}, { ...again, requestBodyBufferLimit: 5_000n }),
  toRoute("/again-old-low", {}, { ...again, perRequestBufferLimitBytes: 500 }),
  toRoute("/again-old-high", {}, { ...again, perRequestBufferLimitBytes: 5_000 }),
  toRoute("/"),
].sort((a, b) => pathOf(b).length - pathOf(a).length);

const holding = (processingMode: object, before: readonly ListedFilter[] = []): HcmInit =>
  managerWith(
    [
      ...before,
      {
        name: "envoy.filters.http.ext_proc",
        config: packAny(ExternalProcessorSchema, {
          grpcService: { targetSpecifier: { case: "envoyGrpc", value: { clusterName: "proc" } } },
          messageTimeout: { seconds: 5n },
          processingMode,
        } as never),
      },
    ],
    routes,
    host as never,
  );
const requests = holding({ requestBodyMode: buffered });
const responses = holding({ responseBodyMode: buffered });
const bufferOf = (maxRequestBytes: number): ListedFilter => ({
  name: "envoy.filters.http.buffer",
  config: packAny(BufferSchema, { maxRequestBytes }),
});
const plain = managerWith([], routes, host as never);

const more = [
  holding({ requestBodyMode: buffered, responseBodyMode: buffered }, [bufferOf(3_000)]),
  holding({ requestBodyMode: buffered, responseBodyMode: buffered }, [bufferOf(500)]),
  managerWith([bufferOf(3_000)], routes, host as never),
  managerWith([bufferOf(700)], routes, host as never),
];

const text = (size: number) => "x".repeat(size);
const sent = (path: string, size: number) => request(`POST ${path}`, [`Content-Length: ${size}`], text(size));
const sentInChunks = (path: string, size: number) =>
  request(`POST ${path}`, ["Transfer-Encoding: chunked"], `${`${(size / 2).toString(16)}\r\n${text(size / 2)}\r\n`.repeat(2)}0\r\n\r\n`);
const answered = (path: string, size: number) => request(`GET ${path}`, [`X-Size: ${size}`]);
const answeredToo = (path: string, size: number) => request(`POST ${path}`, [`X-Size: ${size}`, "Content-Length: 400"], text(400));
/** As long as it is asked to be; the first try of some is in vain. */
const answer = ({ headers, path }: EchoRequest) => {
  const of = (name: string) => headers.find(([key]) => key === name)?.[1] ?? "";
  if (path.startsWith("/again") && of("x-envoy-attempt-count") === "1") return "HTTP/1.1 503 No\r\nContent-Length: 2\r\n\r\nno";
  const size = Number(of("x-size") || 2);
  return `HTTP/1.1 200 OK\r\nContent-Length: ${size}\r\n\r\n${text(size)}`;
};
const sizes = [400, 800, 2_000, 6_000];
const paths = ["/ok", "/low", "/high", "/old-low", "/old-high"];

describe.skipIf(hasNoEnvoy("how much of a body is held"))("what listeners hold of a body", () => {
  let upstream: RawUpstream;
  let processor: Processor;
  let planes: Planes;

  beforeAll(async () => {
    upstream = await rawUpstream("a");
    upstream.answer = answer;
    processor = await startProcessor();
    const modern = (hcm: HcmInit) => ({ ...hcm, codecType: 2, http2ProtocolOptions: { initialStreamWindowSize: window } }) as HcmInit;
    const managers = [requests, responses, plain, modern(requests), modern(responses), ...more];
    planes = await startListeners(
      managers.map((hcm) => (port) => ({ ...listenerMessage(port, hcm), perConnectionBufferLimitBytes: limit })),
      [staticCluster("a", [upstream.port]), staticCluster("proc", [processor.port], { http2ProtocolOptions: {} } as never)],
    );
  });

  afterAll(async () => {
    await planes?.[Symbol.asyncDispose]();
    await upstream?.[Symbol.asyncDispose]();
    await processor?.[Symbol.asyncDispose]();
  });

  /** What both make of each request, a line for each: status, details, and how often the upstream was asked. */
  async function answersOf(manager: number, asked: readonly (readonly [what: string, request: string])[]) {
    const { envoy, embedded } = planes.ports[manager] as Planes["ports"][number];
    const answers = async (port: number) => {
      const lines: string[] = [];
      for (const [what, text] of asked) {
        const { status, headers, body } = await outcomeOf(port, text);
        lines.push(`${what}: ${status} ${headers["x-details"]} ${body.length}`);
      }
      return lines;
    };
    return [await answers(envoy), await answers(embedded)];
  }

  test("of requests", async () => {
    const asked = paths.flatMap((path) =>
      sizes.flatMap((size) => [
        [`${path} ${size}`, sent(path, size)] as const,
        [`${path} ${size} in chunks`, sentInChunks(path, size)] as const,
      ]),
    );
    const [envoy, embedded] = await answersOf(0, asked);
    expect(embedded).toEqual(envoy);
  });

  test("of responses", async () => {
    const asked = paths.flatMap((path) => sizes.map((size) => [`${path} ${size}`, answered(path, size)] as const));
    const [envoy, embedded] = await answersOf(1, asked);
    expect(embedded).toEqual(envoy);
  });

  test("of what may have to be sent again", async () => {
    const retried = ["/again", "/again-low", "/again-high", "/again-old-low", "/again-old-high"];
    const asked = retried.flatMap((path) => sizes.map((size) => [`${path} ${size}`, sent(path, size)] as const));
    const [envoy, embedded] = await answersOf(2, asked);
    expect(embedded).toEqual(envoy);
  });

  test.each([5, 6, 7, 8])("where a filter says how much: %s", async (manager) => {
    const asked = [...paths, "/again-low", "/again-high"].flatMap((path) =>
      (path.startsWith("/again") ? [800] : sizes).flatMap((size) => [
        [`${path} ${size}`, sent(path, size)] as const,
        [`${path} ${size} back`, answered(path, size)] as const,
        [`${path} ${size} back too`, answeredToo(path, size)] as const,
      ]),
    );
    const [envoy, embedded] = await answersOf(manager, asked);
    expect(embedded).toEqual(envoy);
  });

  test("over HTTP/2, as much as clients may send ahead", async () => {
    const seen = [];
    for (const plane of ["envoy", "embedded"] as const) {
      const statuses: string[] = [];
      for (const size of [2_000, 60_000, 70_000, 140_000]) {
        const ask = async (manager: number, more: readonly string[], body: string) => {
          await using client = http2Client((planes.ports[manager] as Planes["ports"][number])[plane]);
          const { status } = await client.ask([":method", "POST", ":path", "/ok", ":authority", "a.example", ...more], body);
          statuses.push(`${manager} ${size} ${status}`);
        };
        await ask(3, [], text(size));
        await ask(4, ["x-size", String(size)], "");
      }
      seen.push(statuses);
    }
    expect(seen[1]).toEqual(seen[0]);
  });
});
