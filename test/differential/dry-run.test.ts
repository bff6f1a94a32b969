// A request that is only tried, against what becomes of it in both data planes: the same virtual host and route, the same answer, the same
// cluster, and the head that the upstream gets.

import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type DryRun, dryRun } from "../../src/dataplane/dry-run/dry-run.ts";
import { DryResources } from "../../src/dataplane/dry-run/resources.ts";
import { type RawUpstream, rawUpstream } from "../../src/dataplane/testing/raw.ts";
import {
  type HcmInit,
  listener,
  type RouteConfigInit,
  staticCluster,
  type VirtualHostInit,
} from "../../src/dataplane/testing/resources.ts";
import { findEnvoy } from "../servers/envoy.ts";
import { freePort } from "../servers/ports.ts";
import { type Outcome, outcomeOf } from "./compare.ts";
import { fixedManagers, randomManager } from "./configs.ts";
import { explained } from "./explained.ts";
import { startPlanes } from "./planes.ts";
import { fixedRequests, randomRequest } from "./requests.ts";

const isLong = process.env.HEADWORKS_LONG === "1";
const isRequired = process.env.HEADWORKS_REQUIRE_SERVERS === "1";
const seed = Number(process.env.HEADWORKS_SEED ?? Date.now() % 1_000_000);
const configs = isLong ? 300 : 12;
const requestsEach = 25;

if (findEnvoy() === undefined && !isRequired) console.warn("SKIPPED: dry runs against Envoy: no Envoy here (set ENVOY_BIN)");

/** Has each route say in its answers which it is. */
function telling(manager: HcmInit): HcmInit {
  const specifier = manager.routeSpecifier as { readonly case: "routeConfig"; readonly value: RouteConfigInit };
  const virtualHosts = (specifier.value.virtualHosts as VirtualHostInit[]).map((host) => ({
    ...host,
    routes: host.routes?.map((route, index) => ({
      ...route,
      name: `${host.name}/${index}`,
      responseHeadersToAdd: [
        ...(route.responseHeadersToAdd ?? []),
        { header: { key: "x-route", value: `${host.name}/${index}` }, appendAction: 2 },
      ],
    })),
  }));
  return { ...manager, routeSpecifier: { case: "routeConfig", value: { ...specifier.value, virtualHosts } } } as HcmInit;
}

/** What of an outcome a dry run knows, too. */
interface Known {
  readonly route: string | undefined;
  readonly status: number | undefined;
  readonly location: string | undefined;
  readonly sent:
    | { readonly cluster: string; readonly method: string; readonly path: string; readonly headers: Readonly<Record<string, string>> }
    | undefined;
}

/** What differs from one time to the next, is between two hops, or is explained. */
const varying = new Set([
  "x-request-id",
  "x-envoy-expected-rq-timeout-ms",
  "content-length",
  "transfer-encoding",
  "expect",
  "connection",
  "te",
  "trailer",
  "proxy-authorization",
]);

function headersOf(pairs: Iterable<readonly [string, string]>): Record<string, string> {
  const all: Record<string, string> = {};
  for (const [name, value] of pairs) if (!varying.has(name)) all[name] = Object.hasOwn(all, name) ? `${all[name]},${value}` : value;
  return all;
}

function knownOf({ status, headers, forwarded }: Outcome): Known {
  const route = headers["x-route"];
  if (forwarded === undefined)
    return { route, status: status === "closed" ? undefined : status, location: headers.location, sent: undefined };
  const { upstream, method, path } = forwarded;
  const { host = "", ...rest } = headersOf(Object.entries(forwarded.headers));
  return { route, status: undefined, location: undefined, sent: { cluster: upstream, method, path, headers: { ...rest, host } } };
}

function triedOf({ outcome, route }: DryRun): Known {
  switch (outcome.kind) {
    case "closed":
      return { route: route?.name, status: undefined, location: undefined, sent: undefined };
    case "answered": {
      const { location } = headersOf(pairs(outcome.headers));
      return { route: route?.name, status: outcome.status, location, sent: undefined };
    }
    case "sent": {
      const { method, path, authority, headers } = outcome.request;
      const sent = { cluster: outcome.cluster, method, path, headers: { ...headersOf(pairs(headers)), host: authority } };
      return { route: route?.name, status: undefined, location: undefined, sent };
    }
  }
}

function pairs(headers: readonly string[]): [string, string][] {
  return headers
    .flatMap((name, i) => (i % 2 === 0 ? [[name, headers[i + 1] as string] as [string, string]] : []))
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0));
}

function askedOf(text: string) {
  const [head = ""] = text.split("\r\n\r\n");
  const [line = "", ...lines] = head.split("\r\n");
  const [method = "", target = ""] = line.split(" ");
  const headers = lines.map((each): [string, string] => [each.slice(0, each.indexOf(":")), each.slice(each.indexOf(":") + 1).trim()]);
  return { method, target, authority: "", headers, isTls: false, serverName: "", protocols: [] };
}

describe.skipIf(findEnvoy() === undefined && !isRequired)("a dry run", () => {
  let upstreams: RawUpstream[] = [];
  let deadPort = 0;

  beforeAll(async () => {
    upstreams = await Promise.all(["a", "b", "c"].map((name) => rawUpstream(name)));
    deadPort = await freePort();
  });

  afterAll(async () => {
    for (const upstream of upstreams) await upstream[Symbol.asyncDispose]();
  });

  async function disagreements(
    managers: readonly HcmInit[],
    requestsOf: (index: number) => readonly string[],
  ): Promise<{ found: string[]; sent: number; answered: number }> {
    const telltales = managers.map(telling);
    const clusters = [
      ...upstreams.map((upstream) => staticCluster(upstream.name, [upstream.port])),
      staticCluster("dead", [deadPort]),
      staticCluster("empty", []),
    ];
    await using planes = await startPlanes(telltales, clusters);
    const found: string[] = [];
    let sent = 0;
    let answered = 0;
    for (const [index, manager] of telltales.entries()) {
      const ports = planes.ports[index] as { envoy: number; embedded: number };
      const resources = new DryResources([...clusters, listener(ports.embedded, manager)]);
      for (const request of requestsOf(index)) {
        if (explained.some(({ lines, applies }) => lines === undefined && applies(request))) continue;
        const tried = triedOf(dryRun(resources, resources.listeners[0] as (typeof resources.listeners)[number], askedOf(request)));
        for (const plane of ["envoy", "embedded"] as const) {
          const known = knownOf(await outcomeOf(ports[plane], request));
          // Nobody listens there, so what it would get is not seen.
          const isSeen = known.sent !== undefined || tried.sent === undefined;
          const [a, b] = isSeen
            ? [known, tried]
            : [
                { route: known.route, status: known.status },
                { route: tried.route, status: 503 },
              ];
          if (JSON.stringify(a, ordered) !== JSON.stringify(b, ordered))
            found.push(
              `configuration ${index}, ${JSON.stringify(request)}\n  ${plane} ${JSON.stringify(a, ordered)}\n  tried ${JSON.stringify(b, ordered)}`,
            );
        }
        if (tried.sent === undefined) answered++;
        else sent++;
      }
    }
    return { found, sent, answered };
  }

  test("says what both planes do, rule by rule", async () => {
    // Not those about what the upstream does, or the bytes of the head; of a HEAD the upstream cannot tell what it got.
    const others = /^(answer|too slow|retried|head|expects|HTTP.1.0|no colon|.*HEAD$)/;
    const plain = Object.entries(fixedRequests).filter(([name]) => !others.test(name));
    const { found, sent } = await disagreements(fixedManagers.slice(0, 2), () => plain.map(([, request]) => request));
    expect(found).toEqual([]);
    expect(sent).toBeGreaterThan(30);
  });

  test(`says what both planes do, ${configs} random configurations, ${requestsEach} requests each (seed ${seed})`, async () => {
    const managers = fc.sample(randomManager, { numRuns: configs, seed });
    const requests = fc.sample(randomRequest, { numRuns: configs * requestsEach, seed });
    const { found, sent, answered } = await disagreements(managers, (index) =>
      requests.slice(index * requestsEach, (index + 1) * requestsEach),
    );
    expect(found.slice(0, 10)).toEqual([]);
    expect(sent).toBeGreaterThan(configs);
    expect(answered).toBeGreaterThan(configs);
  }, 1_200_000);
});

/** The same text for the same content. */
function ordered(_: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}
