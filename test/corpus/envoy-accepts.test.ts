// Whatever the recorded cases come to, broken ones included, an unmodified Envoy takes.
import { join } from "node:path";
import type { JsonObject } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { refusalOf } from "../../src/lib/testing/envoyValidate.ts";
import { findEnvoy } from "../servers/envoy.ts";
import { type Case, corpusFolder, readCases } from "./cases.ts";
import { assembleCase } from "./translate.ts";

const folder = corpusFolder(join(import.meta.dirname, "../.."));

describe.skipIf(folder === undefined || findEnvoy() === undefined)("Envoy", () => {
  test("takes the listeners, routes and clusters of every recorded case", { timeout: 240_000 }, () => {
    const refused: string[] = [];
    const batch = (cases: readonly Case[]): void => {
      const refusal = refusalOf(...bootstrapOf(cases));
      if (refusal === undefined) return;
      if (cases.length === 1) refused.push(`${cases[0]?.id}: ${refusal.trim().slice(0, 300)}`);
      else {
        batch(cases.slice(0, cases.length / 2));
        batch(cases.slice(cases.length / 2));
      }
    };
    batch(readCases(folder ?? ""));
    expect(refused).toEqual([]);
  });
});

/** Clusters and listeners of several cases under names of their own; route configurations each in a listener. */
function bootstrapOf(cases: readonly Case[]): [clusters: JsonObject[], listeners: JsonObject[]] {
  const clusters = new Map<string, JsonObject>();
  const listeners: JsonObject[] = [];
  for (const [i, each] of cases.entries()) {
    const output = assembleCase(each);
    for (const cluster of output.clusters) {
      // Files of certificates are on the machine of the proxy, not here.
      if (!clusters.has(String(cluster.name)) && !JSON.stringify(cluster).includes('"filename"'))
        clusters.set(String(cluster.name), cluster);
    }
    for (const listener of output.listeners) {
      if (String(listener.name).startsWith("fallback_listener")) continue;
      const address = { socketAddress: { address: "127.0.0.1", portValue: 10_000 + listeners.length } };
      listeners.push({ ...listener, name: `${i} ${listener.name}`, address });
    }
    for (const routes of output.routes) listeners.push(listenerWith(routes, `${i} ${routes.name}`, 10_000 + listeners.length));
  }
  return [[...clusters.values()], listeners];
}

function listenerWith(routes: JsonObject, name: string, portValue: number): JsonObject {
  const manager = {
    "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
    statPrefix: "http",
    // A route to a cluster that is not there is no reason to refuse over RDS.
    routeConfig: { ...routes, validateClusters: false },
    httpFilters: [
      { name: "envoy.filters.http.router", typedConfig: { "@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router" } },
    ],
  };
  const filters = [{ name: "envoy.filters.network.http_connection_manager", typedConfig: manager }];
  return { name, address: { socketAddress: { address: "127.0.0.1", portValue } }, filterChains: [{ filters }] };
}
