// More services than may have a blocking query each: those that change are found and live in Envoy soon, quiet ones that are replaced by a
// single write too. bench/consul.ts has 5,000.
import { describe, expect, test } from "vitest";
import { bestOfThree } from "../../src/lib/testing/bestOf.ts";
import { until, withEnvoy } from "../conformance/xds/envoy.ts";
import { findConsul, startConsul } from "../servers/consul.ts";
import { writeCatalog, writeNodes } from "../servers/consul-catalog.ts";
import { ask, backend, object } from "./gateway.ts";
import { inProcess } from "./in-process.ts";

const isThere = findConsul() !== undefined;
if (!isThere) {
  if (process.env.HEADWORKS_REQUIRE_SERVERS === "1") throw new Error("Consul is required (HEADWORKS_REQUIRE_SERVERS=1) and not there");
  console.warn("SKIPPED: Consul is not there; many services were not tried. Set CONSUL_BIN.");
}

const services = 300;

describe.skipIf(!isThere)("many services of Consul", () => {
  withEnvoy("through a real Envoy", () => {
    test(`of ${services} services, quiet ones are replaced one after the other, and each is followed soon`, bestOfThree, async () => {
      await using consul = await startConsul();
      await using one = await backend("one");
      await using two = await backend("two");
      await writeNodes(consul);
      await writeCatalog(
        consul,
        Array.from({ length: services }, (_, i) => ({ service: `svc-${i}`, id: `svc-${i}`, port: one.port })),
      );
      const followed = Array.from({ length: 8 }, (_, i) => `svc-${i * 7}`);
      await using running = await inProcess({
        objects: [
          object("Settings", "default", {
            consul: { httpAddress: `127.0.0.1:${consul.httpPort}`, serviceDiscovery: {} },
            discovery: { fdsMode: "DISABLED", udsOptions: { enabled: true } },
          }),
          ...followed.map(toService),
        ],
      });
      const answers = async (service: string, name: string) => (await ask(running.port, `${service}.test`))?.body.startsWith(name) === true;
      for (const service of followed) await until(`${service} answers`, () => answers(service, "one"));
      for (const service of followed) {
        await writeCatalog(consul, [{ service, id: service, port: two.port }]);
        const written = performance.now();
        await until(`${service} is followed`, () => answers(service, "two"));
        // With one look at all services every 20 s, as it once was, all but the first would come too late.
        expect(performance.now() - written).toBeLessThan(6_000);
      }
      expect(running.faults).toEqual([]);
      expect(running.refusals).toEqual([]);
    });
  });
});

function toService(serviceName: string): object {
  return object("VirtualService", serviceName, {
    virtualHost: {
      domains: [`${serviceName}.test`],
      routes: [{ matchers: [{ prefix: "/" }], routeAction: { single: { consul: { serviceName } } } }],
    },
  });
}
