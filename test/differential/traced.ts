// What tests of tracing share: routes that have something to say of it, and what is seen of a traced request, with labels for what is made up anew.

import type { AddressInfo, Server } from "node:net";
import { setTimeout as delay } from "node:timers/promises";
import { type EchoRequest, rawRequest } from "../../src/dataplane/testing/raw.ts";
import type { RouteInit } from "../../src/dataplane/testing/resources.ts";
import type { CollectedSpan, Collector } from "./collectors.ts";
import { toRoute } from "./filters.ts";

// — routes —

export const percent = (value: number) => ({ numerator: value });
export const literal = (tag: string, value: string) => ({ tag, type: { case: "literal", value: { value } } });

export const traced = (operation: string, tracing: object = {}, more: object = {}) => ({
  ...(operation !== "" && { decorator: { operation, ...more } }),
  tracing: { clientSampling: percent(100), randomSampling: percent(100), overallSampling: percent(100), ...tracing },
});

export const retrying = { retryPolicy: { retryOn: "5xx", numRetries: 2, retryBackOff: { baseInterval: { nanos: 1_000_000 } } } };

export const to = (prefix: string, cluster: string, action: object, more: object = {}) =>
  ({
    ...toRoute(prefix, {}, more, cluster),
    action: { case: "route", value: { clusterSpecifier: { case: "cluster", value: cluster }, ...action } },
  }) as RouteInit;

export function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}

// — what is seen —

/** Of one request. */
export interface Seen {
  readonly status: number | undefined;
  readonly response: object;
  readonly forwarded: object | undefined;
  readonly spans: readonly object[];
}

const traceHeaders = /^(x-b3-|b3$|trace|x-datadog-|x-request-id|x-client-trace-id|x-envoy-(?!upstream-service|expected))/;

export async function seenOf(port: number, text: string): Promise<Seen> {
  const response = await rawRequest(port, text, { isHead: text.startsWith("HEAD ") });
  const forwarded = response?.body.startsWith('{"upstream"') ? (JSON.parse(response.body) as EchoRequest) : undefined;
  return {
    status: response?.status,
    response: headersOf(response?.headers ?? []),
    forwarded: forwarded && headersOf(forwarded.headers),
    spans: [],
  };
}

function headersOf(headers: readonly (readonly [string, string])[]): object {
  return Object.fromEntries(
    headers
      .map(([name, value]) => [name.toLowerCase(), value] as const)
      .filter(([name]) => traceHeaders.test(name))
      .sort(),
  );
}

/** All that come, until none has come for a while. */
export async function collected(collectors: readonly Collector[], quietMs: number): Promise<CollectedSpan[]> {
  const count = () => collectors.reduce((sum, { spans }) => sum + spans.length, 0);
  for (let before = -1, quiet = 0; quiet * 100 < quietMs; await delay(100)) {
    quiet = count() === before ? quiet + 1 : 0;
    before = count();
  }
  return collectors.flatMap(({ spans }) => spans.splice(0));
}

/** Those of the trace that tells of this request. */
export function spansOf(spans: readonly CollectedSpan[], text: string): object[] {
  const n = /[?]n=\d+\./.exec(text)?.[0] as string;
  const server = spans.find(({ tags }) => tags["http.url"]?.includes(n));
  const traces = new Set([server?.traceId, ...[...text.matchAll(/[0-9a-f]{16,32}/g)].map(([found]) => found)]);
  return spans
    .filter(({ traceId }) => traces.has(traceId))
    .sort((a, b) => `${a.kind}`.localeCompare(b.kind) || a.startUs - b.startUs)
    .map(({ startUs, durationUs, tags, ...more }) => ({
      ...more,
      tags: Object.fromEntries(Object.entries(tags).sort()),
      isTimed: Math.abs(startUs / 1_000 - Date.now()) < 60_000,
      isLasting: durationUs === undefined ? undefined : durationUs >= 0 && durationUs < 30_000_000,
    }));
}

/** Identifiers that were made become labels, in the order in which they are seen. */
export function masked(seen: Seen, text: string): Seen {
  const given = [...text.matchAll(/[0-9a-f]{16,32}/g)].map(([found]) => found);
  const labels = new Map<string, string>();
  const json = JSON.stringify(seen)
    .replaceAll(/[0-9a-f]{8}-[0-9a-f]{4}-([0-9a-f])[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/g, (uuid, mark) =>
      given.some((each) => uuid.endsWith(each)) || uuid.startsWith("12345678") ? uuid : `(uuid ${mark})`,
    )
    .replaceAll(/\b(?:[0-9a-f]{32}|[0-9a-f]{16})\b/g, (found) => {
      if (given.includes(found) || /^0+$/.test(found)) return found;
      const short = found.replace(/^0{16}(?=.)/, "");
      if (!labels.has(short)) labels.set(short, `(${short.length} ${labels.size})`);
      return labels.get(short) as string;
    })
    .replaceAll(/127\.0\.0\.1:\d+/g, "127.0.0.1:port");
  return JSON.parse(json) as Seen;
}
