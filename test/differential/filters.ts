// What tests of HTTP filters share: routes with a filter's configuration, lists of filters, and the same requests to both data planes.

import { connect } from "node:net";
import type { HcmInit, RouteInit, VirtualHostInit } from "../../src/dataplane/testing/resources.ts";
import { packAny } from "../../src/envoy/encode.ts";
import { RouterSchema } from "../../src/gen/envoy/envoy/extensions/filters/http/router/v3/router_pb.js";
import { findEnvoy } from "../servers/envoy.ts";
import { differences, outcomeOf } from "./compare.ts";
import { inline } from "./configs.ts";
import type { Planes } from "./planes.ts";

export type Packed = ReturnType<typeof packAny>;

const isRequired = process.env.HEADWORKS_REQUIRE_SERVERS === "1";

/** Whether to skip tests against Envoy, which says so. */
export function hasNoEnvoy(what: string): boolean {
  const isMissing = findEnvoy() === undefined && !isRequired;
  if (isMissing) console.warn(`SKIPPED: ${what} against Envoy: no Envoy here (set ENVOY_BIN)`);
  return isMissing;
}

export function toRoute(prefix: string, perFilter: Readonly<Record<string, Packed>> = {}, more: object = {}, cluster = "a"): RouteInit {
  return {
    match: { pathSpecifier: { case: "prefix", value: prefix } },
    action: { case: "route", value: { clusterSpecifier: { case: "cluster", value: cluster } } },
    typedPerFilterConfig: perFilter,
    ...more,
  } as RouteInit;
}

export function directRoute(prefix: string, body: string, perFilter: Readonly<Record<string, Packed>> = {}): RouteInit {
  return {
    match: { pathSpecifier: { case: "prefix", value: prefix } },
    action: { case: "directResponse", value: { status: 200, body: { specifier: { case: "inlineString", value: body } } } },
    typedPerFilterConfig: perFilter,
  } as RouteInit;
}

export interface ListedFilter {
  readonly name: string;
  readonly config: Packed;
  readonly disabled?: boolean;
}

/** A connection manager with these filters and the router. */
export function managerWith(
  filters: readonly ListedFilter[],
  routes: readonly RouteInit[],
  more: Partial<VirtualHostInit> = {},
  router: object = {},
): HcmInit {
  const httpFilters = [
    ...filters,
    { name: "envoy.filters.http.router", config: packAny(RouterSchema, router as never), disabled: false },
  ].map(({ name, config, disabled = false }) => ({ name, disabled, configType: { case: "typedConfig", value: config } }));
  return {
    ...inline([{ name: "all", domains: ["*"], routes: [...routes], ...more } as VirtualHostInit]),
    httpFilters,
  } as unknown as HcmInit;
}

/** Puts each request to both planes, and returns one line for each thing that differs. */
export async function differencesOf(planes: Planes, manager: number, requests: readonly string[]): Promise<string[]> {
  const { envoy, embedded } = planes.ports[manager] as Planes["ports"][number];
  const found: string[] = [];
  for (const text of requests)
    for (const line of differences(await outcomeOf(envoy, text), await outcomeOf(embedded, text)))
      found.push(`[${manager}] ${JSON.stringify(text.slice(0, 300))} ${line}`);
  return found;
}

/** All that comes back on one connection until it is closed. */
export async function everythingFrom(port: number, bytes: string): Promise<string> {
  const socket = connect(port, "127.0.0.1");
  socket.write(bytes);
  let text = "";
  for await (const data of socket) text += data;
  return text;
}
