// The embedded data plane against a real Envoy: the same configuration, the same bytes, the same outcome; but for what explained.ts explains.
// HEADWORKS_LONG=1 runs more of it, HEADWORKS_SEED repeats a run.

import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { echo, type RawUpstream, rawUpstream } from "../../src/dataplane/testing/raw.ts";
import { type HcmInit, staticCluster } from "../../src/dataplane/testing/resources.ts";
import { findEnvoy } from "../servers/envoy.ts";
import { freePort } from "../servers/ports.ts";
import { differences, outcomeOf } from "./compare.ts";
import { fixedManagers, randomManager } from "./configs.ts";
import { explained } from "./explained.ts";
import { type Planes, startPlanes } from "./planes.ts";
import { fixedRequests, randomRequest } from "./requests.ts";

const isLong = process.env.HEADWORKS_LONG === "1";
const isRequired = process.env.HEADWORKS_REQUIRE_SERVERS === "1";
const seed = Number(process.env.HEADWORKS_SEED ?? Date.now() % 1_000_000);
const configs = isLong ? 400 : 24;
const requestsEach = 25;

if (findEnvoy() === undefined && !isRequired) console.warn("SKIPPED: the embedded data plane against Envoy: no Envoy here (set ENVOY_BIN)");

describe.skipIf(findEnvoy() === undefined && !isRequired)("embedded data plane and Envoy", () => {
  let upstreams: RawUpstream[] = [];
  let deadPort = 0;

  beforeAll(async () => {
    upstreams = await Promise.all(["a", "b", "c"].map((name) => rawUpstream(name)));
    deadPort = await freePort();
  });

  afterAll(async () => {
    for (const upstream of upstreams) await upstream[Symbol.asyncDispose]();
  });

  async function planesOf(managers: readonly HcmInit[]): Promise<Planes> {
    const clusters = upstreams.map((upstream) => staticCluster(upstream.name, [upstream.port]));
    return startPlanes(managers, [...clusters, staticCluster("dead", [deadPort]), staticCluster("empty", [])]);
  }

  /** Unexplained differences of one request. */
  async function compare(planes: Planes, index: number, request: string): Promise<string[]> {
    const ports = planes.ports[index] as { envoy: number; embedded: number };
    reset();
    const envoy = await outcomeOf(ports.envoy, request);
    const envoyCounts = counts();
    reset();
    const embedded = await outcomeOf(ports.embedded, request);
    const reasons = explained.filter((each) => each.applies(request));
    const found = differences(envoy, embedded);
    const embeddedCounts = counts();
    if (envoyCounts !== embeddedCounts) found.push(`requests to upstreams: Envoy ${envoyCounts}, embedded ${embeddedCounts}`);
    return found.filter((line) => !reasons.some(({ lines }) => lines === undefined || lines.test(line)));
  }

  let failuresLeft = 0;

  function reset(): void {
    failuresLeft = 2;
    for (const upstream of upstreams) {
      upstream.requests.length = 0;
      upstream.answer = (request) => {
        if (request.path.startsWith("/slow")) return undefined;
        if (request.headers.some(([name]) => name === "x-flaky") && failuresLeft-- > 0)
          return "HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n";
        return echo(request);
      };
    }
  }

  const counts = () => upstreams.map((upstream) => upstream.requests.length).join(",");

  test("agree on every rule", async () => {
    await using planes = await planesOf(fixedManagers);
    expect(planes.plane.unsupported()).toEqual([]);
    const found: string[] = [];
    for (const [name, request] of Object.entries(fixedRequests)) {
      for (let index = 0; index < fixedManagers.length; index++) {
        for (const line of await compare(planes, index, request)) found.push(`${name} [${index}] ${line}`);
      }
    }
    expect(found).toEqual([]);
  });

  test(`agree on ${configs} random configurations, ${requestsEach} requests each (seed ${seed})`, async () => {
    const managers = fc.sample(randomManager, { numRuns: configs, seed });
    const requests = fc.sample(randomRequest, { numRuns: configs * requestsEach, seed });
    const found: string[] = [];
    for (let from = 0; from < managers.length; from += 40) {
      const batch = managers.slice(from, from + 40);
      await using planes = await planesOf(batch);
      for (let index = 0; index < batch.length; index++) {
        for (let i = 0; i < requestsEach && found.length < 20; i++) {
          const request = requests[(from + index) * requestsEach + i] as string;
          const lines = await compare(planes, index, request);
          if (lines.length > 0)
            found.push(`seed ${seed}, configuration ${from + index}: ${JSON.stringify(request)}\n  ${lines.join("\n  ")}`);
        }
      }
    }
    expect(found).toEqual([]);
  }, 1_200_000);
});
