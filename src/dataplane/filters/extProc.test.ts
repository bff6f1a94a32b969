// External processing where it is not enough that small messages come out right: large bodies, who goes away in the middle, who else is in the chain.
// What it does with each message is compared with Envoy in test/differential/ext-proc.test.ts.

import { once } from "node:events";
import { createServer as createHttpServer, request as httpRequest } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { WebSocket, WebSocketServer } from "ws";
import { packAny } from "../../envoy/encode.ts";
import { BufferSchema } from "../../gen/envoy/envoy/extensions/filters/http/buffer/v3/buffer_pb.js";
import { ExternalProcessorSchema } from "../../gen/envoy/envoy/extensions/filters/http/ext_proc/v3/ext_proc_pb.js";
import { RouterSchema } from "../../gen/envoy/envoy/extensions/filters/http/router/v3/router_pb.js";
import { type Processor, type Script, scripted, startProcessor } from "../testing/processor.ts";
import { rawRequest, rawUpstream } from "../testing/raw.ts";
import { allTo, type HcmInit, listener, type RouteInit, routeConfig, serve, staticCluster } from "../testing/resources.ts";

let processor: Processor;
beforeAll(async () => {
  processor = await startProcessor();
});
afterEach(() => void processor.take());
afterAll(() => processor[Symbol.asyncDispose]());

const http2 = { http2ProtocolOptions: {} } as never;
const [streamed, buffered, partial] = [1, 2, 3];

const processing = (config: object, script: Script = {}) => ({
  name: "processing",
  config: packAny(ExternalProcessorSchema, {
    messageTimeout: { seconds: 20n },
    ...config,
    grpcService: {
      targetSpecifier: { case: "envoyGrpc", value: { clusterName: "processor" } },
      initialMetadata: [{ key: "x-script", value: scripted(script).replace("X-Script: ", "") }],
    },
  } as never),
});

/** Served on a port, with these filters in front of the upstream. */
function gateway(upstreamPort: number, filters: readonly { name: string; config: ReturnType<typeof packAny> }[], route: RouteInit = {}) {
  const all = [...filters, { name: "router", config: packAny(RouterSchema, {}) }];
  const httpFilters = all.map(({ name, config }, index) => ({
    name: `${name}-${index}`,
    configType: { case: "typedConfig", value: config },
  }));
  return serve([
    staticCluster("a", [upstreamPort]),
    staticCluster("processor", [processor.port], http2),
    routeConfig([allTo("a", route)]),
    listener(0, { httpFilters, upgradeConfigs: [{ upgradeType: "websocket" }] } as unknown as HcmInit),
  ]);
}

async function until(what: string, isSo: () => boolean): Promise<void> {
  for (const end = performance.now() + 20_000; !isSo(); ) {
    if (performance.now() > end) throw new Error(`not in time: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}

const nothingOpen = () => until("calls are over", () => processor.open() === 0);

/** Answers with what it gets, as it comes. */
async function mirror() {
  const server = createHttpServer((request, response) => void request.pipe(response));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    [Symbol.dispose]: () => {
      server.closeAllConnections();
      server.close();
    },
  };
}

const post = (path: string, body: string, headers = "") =>
  `POST ${path} HTTP/1.1\r\nHost: a\r\n${headers}Content-Length: ${body.length}\r\n\r\n${body}`;

for (const [what, body] of [
  ["as they come", streamed],
  ["up to what may be kept", partial],
] as const)
  test(`large bodies pass a processor both ways, ${what}, and are what they were`, async () => {
    using upstream = await mirror();
    const processingMode = { requestBodyMode: body, responseBodyMode: body };
    await using plane = await gateway(upstream.port, [processing({ processingMode })]);
    const size = 4 * 1_048_576;
    const sent = Buffer.alloc(size);
    for (let i = 0; i < size; i += 4) sent.writeUInt32LE(i, i);
    const received = await new Promise<Buffer>((resolve, reject) => {
      const options = { port: plane.port, host: "127.0.0.1", method: "POST", headers: { "content-length": size } };
      const request = httpRequest(options, (response) => {
        const parts: Buffer[] = [];
        response.on("data", (data: Buffer) => parts.push(data));
        response.on("end", () => resolve(Buffer.concat(parts)));
        response.on("error", reject);
      });
      request.on("error", reject);
      request.end(sent);
    });
    expect(received.equals(sent)).toBe(true);
    await nothingOpen();
  });

test("a body that is wanted whole and too large for that is refused, and so is a response", async () => {
  using upstream = await mirror();
  await using wholeRequests = await gateway(upstream.port, [processing({ processingMode: { requestBodyMode: buffered } })]);
  await using wholeResponses = await gateway(upstream.port, [processing({ processingMode: { responseBodyMode: buffered } })]);
  const large = "x".repeat(2 * 1_048_576);
  expect((await rawRequest(wholeRequests.port, post("/", large)))?.status).toBe(413);
  expect((await rawRequest(wholeResponses.port, post("/", large)))?.status).toBe(500);
  await nothingOpen();
});

test("where more may be held, a processor sees and sends more", async () => {
  await using upstream = await rawUpstream("a");
  upstream.answer = () => "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n";
  const size = 6 * 1_048_576;
  const changed = Buffer.alloc(size, "y").toString("base64");
  await using plane = await gateway(upstream.port, [processing({ processingMode: { requestBodyMode: buffered } })], {
    requestBodyBufferLimit: BigInt(2 * size),
  });
  processor.says = { requestBody: { requestBody: { response: { bodyMutation: { body: changed } } } } };
  try {
    expect((await rawRequest(plane.port, post("/", "x".repeat(size))))?.status).toBe(200);
    expect(upstream.requests.at(-1)?.endsWith("y".repeat(size))).toBe(true);
  } finally {
    processor.says = {};
  }
});

test("several processors in a row see what the one before them made of a body", async () => {
  await using upstream = await rawUpstream("a");
  const modes = [streamed, buffered, partial].map((requestBodyMode) => ({ processingMode: { requestBodyMode, responseHeaderMode: 2 } }));
  const add = (text: string) => ({
    requestBody: { requestBody: { response: { bodyMutation: { body: Buffer.from(text).toString("base64") } } } },
  });
  const lengthless = { requestHeaders: { requestHeaders: { response: { headerMutation: { removeHeaders: ["content-length"] } } } } };
  await using plane = await gateway(upstream.port, [
    processing(modes[0] as object, add("first")),
    processing(modes[1] as object, { ...lengthless, ...add("second") }),
    processing(modes[2] as object, add("third")),
  ]);
  const response = await rawRequest(plane.port, post("/", "client"));
  expect(JSON.parse(response?.body ?? "").body).toBe("third");
  const bodies = processor
    .take()
    .flatMap(({ message: { request } }) => (request.case === "requestBody" ? [Buffer.from(request.value.body).toString()] : []));
  expect(bodies.filter((each) => each !== "")).toEqual(["client", "first", "second"]);
});

test("what became a HEAD on its way does not leave its client waiting for a body", async () => {
  await using upstream = await rawUpstream("a");
  upstream.answer = () => "HTTP/1.1 200 OK\r\nContent-Length: 300\r\n\r\n";
  const method = { header: { key: ":method", rawValue: Buffer.from("HEAD").toString("base64") } };
  const script = { requestHeaders: { requestHeaders: { response: { headerMutation: { setHeaders: [method] } } } } };
  await using plane = await gateway(upstream.port, [processing({ mutationRules: { allowAllRouting: true } }, script)]);
  // With a length but without a body, the next response would be taken for it.
  const response = await rawRequest(plane.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", { waitMs: 5_000 });
  expect(response).toMatchObject({ status: 200, body: "", isWhole: true });
  expect(upstream.requests.at(-1)).toMatch(/^HEAD /);
});

test("a filter behind it that wants the whole body gets what the processor made of it", async () => {
  await using upstream = await rawUpstream("a");
  const script = { requestBody: { requestBody: { response: { bodyMutation: { body: Buffer.from("processed").toString("base64") } } } } };
  await using plane = await gateway(upstream.port, [
    processing({ processingMode: { requestBodyMode: streamed } }, script),
    { name: "buffer", config: packAny(BufferSchema, { maxRequestBytes: 100 }) },
  ]);
  const response = await rawRequest(plane.port, post("/", "client"));
  expect(JSON.parse(response?.body ?? "").body).toBe("processed");
});

test("a request is tried again with the body that the processor made", async () => {
  await using upstream = await rawUpstream("a");
  const bodies: string[] = [];
  upstream.answer = ({ body }) => {
    bodies.push(body);
    return `HTTP/1.1 ${bodies.length < 3 ? "503 No" : "200 OK"}\r\nContent-Length: 0\r\n\r\n`;
  };
  const script = {
    requestHeaders: { requestHeaders: { response: { headerMutation: { removeHeaders: ["content-length"] } } } },
    requestBody: { requestBody: { response: { bodyMutation: { body: Buffer.from("processed").toString("base64") } } } },
  };
  const retryPolicy = { retryOn: "5xx", numRetries: 3, retryBackOff: { baseInterval: { nanos: 1_000_000 } } };
  const action = { case: "route", value: { clusterSpecifier: { case: "cluster", value: "a" }, retryPolicy } };
  await using plane = await gateway(upstream.port, [processing({ processingMode: { requestBodyMode: buffered } }, script)], {
    action,
  } as RouteInit);
  expect((await rawRequest(plane.port, post("/", "client")))?.status).toBe(200);
  expect(bodies).toEqual(["processed", "processed", "processed"]);
});

test("a connection serves on after an answer of the processor's that came when the request was whole", async () => {
  await using upstream = await rawUpstream("a");
  const script = { requestBody: { immediateResponse: { status: { code: 422 } } } };
  await using plane = await gateway(upstream.port, [processing({ processingMode: { requestBodyMode: buffered } }, script)]);
  const socket = connect(plane.port, "127.0.0.1");
  let text = "";
  socket.on("data", (data) => {
    text += data;
  });
  const answers = () => text.split("HTTP/1.1 422").length - 1;
  for (let i = 1; i <= 3; i++) {
    socket.write(post("/", "hello"));
    await until(`answer ${i}`, () => answers() === i);
  }
  socket.destroy();
});

test("a client that leaves takes the call with him, whatever is being waited for", async () => {
  await using upstream = await rawUpstream("a");
  const silent: Script = { requestHeaders: null, requestBody: null, responseHeaders: null, responseBody: null };
  for (const waiting of Object.keys(silent)) {
    const processingMode = { requestBodyMode: streamed, responseBodyMode: streamed };
    await using plane = await gateway(upstream.port, [processing({ processingMode }, { [waiting]: null })]);
    const socket = connect(plane.port, "127.0.0.1");
    socket.write(post("/", "hello"));
    await until(waiting, () => processor.take().some(({ message }) => message.request.case === waiting));
    socket.destroy();
    await nothingOpen();
    await until("nothing is active", () => plane.plane.stats()["cluster.processor.upstream_rq_active"] === 0);
  }
});

test("a processor that gives up in the middle of a response leaves the client with half of it, and the client can tell", async () => {
  await using upstream = await rawUpstream("a");
  upstream.answer = (_, socket) => {
    socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nfirst\r\n");
    return undefined;
  };
  for (const failureModeAllow of [false, true]) {
    processor.take();
    const config = { processingMode: { responseBodyMode: streamed }, failureModeAllow };
    await using plane = await gateway(upstream.port, [processing(config, { responseBody: 13 })]);
    const asked = rawRequest(plane.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    if (failureModeAllow) {
      await until("it was told", () => processor.take().some(({ message }) => message.request.case === "responseBody"));
      for (const socket of upstream.connections) socket.write("0\r\n\r\n");
    }
    const response = await asked;
    // Its head went on before its body was asked about.
    expect(response).toMatchObject(
      failureModeAllow ? { status: 200, body: "first", isWhole: true } : { status: 200, body: "", isWhole: false },
    );
    await nothingOpen();
  }
});

test("a WebSocket passes a processor of heads, and not one of bodies, which could not see them", async () => {
  const server = new WebSocketServer({ port: 0, host: "127.0.0.1" });
  server.on("connection", (socket) => socket.on("message", (data) => socket.send(`echo ${data}`)));
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  const speak = async (plane: { port: number }) =>
    new Promise<string>((resolve) => {
      const socket = new WebSocket(`ws://127.0.0.1:${plane.port}/`);
      socket.on("open", () => socket.send("hello"));
      socket.on("message", (data) => {
        resolve(String(data));
        socket.close();
      });
      socket.on("error", (error) => resolve(error.message));
    });
  await using heads = await gateway(port, [processing({})]);
  await using bodies = await gateway(port, [processing({ processingMode: { requestBodyMode: streamed } })]);
  expect(await speak(heads)).toBe("echo hello");
  expect(await speak(bodies)).toContain("500");
  server.close();
});

test("what a processor wants to see and is not shown here is an error, and so is what is no answer", async () => {
  await using upstream = await rawUpstream("a");
  const modeOverride = { requestBodyMode: "GRPC" };
  const script = { requestHeaders: { requestHeaders: { response: {} }, modeOverride } };
  await using plane = await gateway(upstream.port, [processing({ allowModeOverride: true }, script)]);
  expect((await rawRequest(plane.port, post("/", "hello")))?.status).toBe(500);
  processor.garbles = true;
  await using garbled = await gateway(upstream.port, [processing({})]);
  expect((await rawRequest(garbled.port, post("/", "hello")))?.status).toBe(500);
  processor.garbles = false;
  await nothingOpen();
});

test("a length that a processor said before it went away is forgotten", async () => {
  await using upstream = await rawUpstream("a");
  const header = { key: "content-length", rawValue: Buffer.from("50").toString("base64") };
  const script = { requestHeaders: { requestHeaders: { response: { headerMutation: { setHeaders: [{ header }] } } } }, requestBody: 0 };
  await using plane = await gateway(upstream.port, [processing({ processingMode: { requestBodyMode: buffered } }, script)]);
  const response = await rawRequest(plane.port, post("/", "hello"));
  expect(JSON.parse(response?.body ?? "")).toMatchObject({ body: "hello", headers: expect.arrayContaining([["content-length", "5"]]) });
});

test("a length that a processor makes up does not break messages apart", async () => {
  await using upstream = await rawUpstream("a");
  const lying = {
    response: { headerMutation: { setHeaders: [{ header: { key: "content-length", rawValue: Buffer.from("3").toString("base64") } }] } },
  };
  for (const requestBodyMode of [0, streamed, buffered, partial]) {
    const script = {
      requestHeaders: { requestHeaders: lying },
      responseHeaders: { responseHeaders: lying },
      requestBody: { requestBody: lying },
    };
    await using plane = await gateway(upstream.port, [processing({ processingMode: { requestBodyMode } }, script)]);
    const response = await rawRequest(plane.port, post("/", "hello"));
    expect(JSON.parse(response?.body ?? "").body).toBe("hello");
  }
});
