// Requests bent in every way that has fooled a proxy, sent over real sockets: whatever comes out at the other side was meant by us.
//
// Each request that the proxy forwards carries a word that no client knows. What reached the upstream is then read by readers that are wrong
// in as many ways: a request without the word is one that a client put there. What we took is read by them too, as one of them may be the
// proxy in front of us. Between the attacks an honest client asks, and must get the answer to what it asked.
// HEADWORKS_LONG=1 sends a hundred thousand, HEADWORKS_SEED repeats a run.
import { randomUUID } from "node:crypto";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import fc from "fast-check";
import { expect, test } from "vitest";
import { mutatedRequests } from "../testing/hostile.ts";
import { rawRequest } from "../testing/raw.ts";
import { type Reader, type ReadRequest, readers, requestsIn } from "../testing/readers.ts";
import { allTo, listener, routeConfig, serve, staticCluster } from "../testing/resources.ts";

const isLong = process.env.HEADWORKS_LONG === "1";
const attacks = isLong ? 100_000 : 6_000;
const seed = Number(process.env.HEADWORKS_SEED ?? Date.now() % 1_000_000);
const atOnce = 32;
/** Takes its place where an attack is not whole, as the next request of another client would. */
const behind = "GET /after HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
const [byTheBook = { name: "" }, ...others] = readers;
const inFront = others.filter((each) => !each.isTooStrict);

test(`of ${attacks} bent requests none is smuggled (HEADWORKS_SEED=${seed})`, { timeout: 1_800_000 }, async () => {
  const word = randomUUID();
  await using upstream = await recordingUpstream();
  const marked = { header: { key: "x-proxied", value: word }, appendAction: 2 } as const;
  await using plane = await serve([
    staticCluster("a", [upstream.port]),
    routeConfig([allTo("a")], { requestHeadersToAdd: [marked] }),
    listener(0),
  ]);
  let honest = 0;
  for (let round = 0; round * 1_000 < attacks; round++) {
    const batch = fc.sample(mutatedRequests, { seed: seed + round, numRuns: 1_000 });
    const worker = async () => {
      for (let bytes = batch.pop(); bytes !== undefined; bytes = batch.pop()) {
        const answers = await attack(plane.port, bytes);
        expectAgreement(inFront, `${bytes}${behind}`, answers.split("HTTP/1.1 200 OK\r\n").length - 1);
        if (batch.length % 20 !== 0) continue;
        const path = `/honest-${honest++}`;
        const answer = await rawRequest(plane.port, `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
        expect(answer?.body, `an honest client asked for ${path}`).toBe(`GET ${path}`);
      }
    };
    await Promise.all(Array.from({ length: atOnce }, worker));
    upstream.take().forEach((connection) => {
      judge(connection, word);
    });
  }
  expect(honest).toBeGreaterThanOrEqual(attacks / 20);
  expect(upstream.served).toBeGreaterThan(attacks / 4);
});

/** All that came was meant by the proxy. */
function judge(connection: string, word: string): void {
  expectAgreement(others, connection, Number.POSITIVE_INFINITY);
  for (const request of requestsIn(connection, byTheBook)) {
    const words = request.headers.filter(([name]) => name === "x-proxied").map(([, value]) => value);
    if (words.length !== 1 || words[0] !== word) throw new Error(`smuggled: ${JSON.stringify(request)} in ${JSON.stringify(connection)}`);
  }
}

/** The first requests are the same to all readers. */
function expectAgreement(among: readonly Reader[], text: string, count: number): void {
  if (count === 0) return;
  const meant = requestsIn(text, byTheBook).slice(0, count);
  for (const reader of among) {
    const read = requestsIn(text, reader);
    const at = meant.findIndex((request, i) => !isSame(request, read[i]));
    if (at < 0 && (read.length === meant.length || count < Number.POSITIVE_INFINITY)) continue;
    const pair = JSON.stringify([meant[at], read[at < 0 ? meant.length : at]]);
    throw new Error(`readers disagree, "${reader.name}": ${pair} in ${JSON.stringify(text)}`);
  }
}

function isSame(one: ReadRequest, other: ReadRequest | undefined): boolean {
  return other !== undefined && one.line === other.line && one.body === other.body && one.isCut === other.isCut;
}

/** What the proxy answers until it closes the connection, or has nothing more to say. */
async function attack(port: number, bytes: string): Promise<string> {
  const { promise, resolve } = Promise.withResolvers<string>();
  let answers = "";
  const socket = connect(port, "127.0.0.1");
  socket.on("error", () => undefined);
  socket.on("close", () => resolve(answers));
  socket.on("data", (data) => {
    answers += data.toString("latin1");
  });
  socket.setTimeout(40, () => socket.destroy());
  socket.write(`${bytes}${behind}`, "latin1");
  return promise;
}

interface RecordingUpstream extends AsyncDisposable {
  readonly port: number;
  /** Requests that it answered. */
  readonly served: number;
  /** What came on each connection since the last time, as latin1. Those that are open are closed. */
  take(): readonly string[];
}

async function recordingUpstream(): Promise<RecordingUpstream> {
  let served = 0;
  let recorded: Buffer[][] = [];
  const server = createServer((request, response) => {
    served++;
    request.resume().on("end", () => response.end(`${request.method} ${request.url}`));
  });
  server.on("connection", (socket) => {
    const parts: Buffer[] = [];
    recorded.push(parts);
    socket.on("data", (data) => parts.push(data));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    get served() {
      return served;
    },
    take() {
      server.closeAllConnections();
      const taken = recorded;
      recorded = [];
      return taken.map((parts) => Buffer.concat(parts).toString("latin1"));
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
