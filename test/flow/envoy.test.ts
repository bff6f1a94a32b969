// What random folders come to, however broken they are: a real Envoy takes it.
import { expect, test } from "vitest";
import { envoyJson } from "../../src/admin/envoy-json.ts";
import type { Flow } from "../../src/flow/flow.ts";
import { resourcesOfProxy } from "../../src/flow/publisher.ts";
import { refusalOf } from "../../src/lib/testing/envoyValidate.ts";
import { type ProxyKey, typeUrls } from "../../src/model/envoy-resource.ts";
import { withEnvoy } from "../conformance/xds/envoy.ts";
import { apply, Folder } from "./folder.ts";
import { randomOf } from "./random.ts";
import { Running } from "./running.ts";

const worlds = process.env.HEADWORKS_LONG === "1" ? 200 : 12;
const seed = Number(process.env.HEADWORKS_SEED ?? 7);

withEnvoy("a real Envoy", () => {
  test(`takes what ${worlds} random folders come to (HEADWORKS_SEED=${seed})`, { timeout: 600_000 }, () => {
    let listeners = 0;
    for (let world = seed; world < seed + worlds; world++) {
      const random = randomOf(world);
      const folder = new Folder();
      const running = new Running({ secretsApart: false }); // a file has no Secrets to ask for
      folder.fill();
      running.batch((flow) => apply(flow, folder.take()));
      listeners += expectTaken(running.flow, `seed ${world}, at the start`);
      for (let i = 1; i <= 30; i++) {
        for (let edit = 0; edit < 3; edit++) folder.edit(random);
        running.batch((flow) => apply(flow, folder.take()));
        if (i % 10 === 0) listeners += expectTaken(running.flow, `seed ${world}, after ${i} batches`);
      }
    }
    expect(listeners).toBeGreaterThan(2 * worlds);
  });
});

/** Returns how many listeners there were to take. */
function expectTaken(flow: Flow, when: string): number {
  let listeners = 0;
  for (const proxy of flow.proxies()) {
    const config = configurationOf(flow, proxy);
    listeners += config.listeners.length;
    expect(refusalOf(config.clusters, config.listeners), `${when}, ${proxy}`).toBeUndefined();
  }
  return listeners;
}

/** With the routes in the listeners, as a configuration that stands by itself must have them. */
function configurationOf(flow: Flow, proxy: ProxyKey) {
  const resources = resourcesOfProxy(flow, proxy);
  const of = (typeUrl: string) => resources.filter((each) => each.typeUrl === typeUrl);
  const routes = new Map(of(typeUrls.route).map((each) => [each.name, envoyJson(each)]));
  const inlined = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(inlined);
    if (typeof value !== "object" || value === null) return value;
    const { rds, ...rest } = value as Record<string, unknown>;
    const name = (rds as { routeConfigName?: string } | undefined)?.routeConfigName;
    return {
      ...Object.fromEntries(Object.entries(rest).map(([key, each]) => [key, inlined(each)])),
      // In a bootstrap, routes to a cluster that is not there are an error unless it is said that they may be.
      ...(name !== undefined && { routeConfig: { ...(routes.get(name) ?? { name }), validateClusters: false } }),
    };
  };
  return { clusters: of(typeUrls.cluster).map(envoyJson), listeners: of(typeUrls.listener).map((each) => inlined(envoyJson(each))) };
}
