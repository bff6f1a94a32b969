// A large Consul: 5,000 services with four instances each. What following it costs when nothing changes, and how long a change takes from the
// write until a request through a real Envoy is answered by the new instance.
import { readFileSync } from "node:fs";
import { setTimeout as delay } from "node:timers/promises";
import type { PlainResource } from "../src/lib/testing/realistic.ts";
import { envoyBootstrap } from "../src/xds/bootstrap.ts";
import { ask, backend, object as objectOf } from "../test/e2e/gateway.ts";
import { start } from "../test/e2e/headworks.ts";
import { findConsul, type RunningConsul, startConsul } from "../test/servers/consul.ts";
import { type CatalogCheck, type CatalogInstance, writeCatalog, writeChecks, writeNodes } from "../test/servers/consul-catalog.ts";
import { findEnvoy, startEnvoy } from "../test/servers/envoy.ts";
import { freePorts } from "../test/servers/ports.ts";
import { folder } from "./folder.ts";
import { type BenchRow, median, spread } from "./row.ts";

const instances = 4;
const quietMs = 30_000;
/** V8 looks for a quiet moment after a load and gives back what that took, seven to nine seconds after it; from then on nothing happens. */
const settleMs = 15_000;

/** Empty where there is no Consul or no Envoy. */
export async function benchConsul(services = 5_000, flaps = 20): Promise<BenchRow[]> {
  if (findConsul() === undefined || findEnvoy() === undefined) return [];
  await using one = await backend("one");
  await using two = await backend("two");
  await using consul = await startConsul();
  const followed = Array.from({ length: 2 * flaps }, (_, i) => `svc-${Math.floor((i * services) / (2 * flaps))}`);
  const [checked, replaced] = [followed.slice(0, flaps), followed.slice(flaps)];
  await fill(consul, services, followed, one.port);
  // Of those whose checks will turn, the last instance is elsewhere, and critical.
  await writeCatalog(
    consul,
    checked.map((service) => ({ service, id: `${service}-3`, port: two.port })),
  );
  await writeChecks(
    consul,
    checked.flatMap((service) => turned(service, false)),
  );
  const [port = 0, xds = 0, admin = 0] = await freePorts(3);
  using files = folder();
  files.write("gateway.yaml", object("Gateway", "gateway-proxy", { bindAddress: "127.0.0.1", bindPort: port, httpGateway: {} }));
  files.write("settings.yaml", settings(consul));
  for (const service of followed) files.write(`${service}.yaml`, toService(service));

  const from = performance.now();
  await using running = start(["run", files.path, "--proxy", "none", "--xds", `127.0.0.1:${xds}`, "--admin", "none", "--log", "pretty"]);
  await running.said(/ ready {2}/);
  const bootstrap = envoyBootstrap({ proxy: "gloo-system~gateway-proxy", xds: { host: "127.0.0.1", port: xds }, admin: { port: admin } });
  await using _envoy = await startEnvoy(bootstrap, admin);
  const answers = async (service: string, name: string) => (await ask(port, `${service}.test`))?.body.startsWith(name) === true;
  for (const service of followed) while (!(await answers(service, "one"))) await delay(20);
  const firstMs = performance.now() - from;

  await delay(settleMs);
  const before = cpuMs(running.process.pid);
  await delay(quietMs);
  const quiet = ((cpuMs(running.process.pid) - before) / quietMs) * 100;

  const untilTwo = async (service: string, write: () => Promise<void>) => {
    await delay(300);
    const from = performance.now();
    await write();
    while (!(await answers(service, "two"))) await delay(1);
    return performance.now() - from;
  };
  const checks: number[] = [];
  for (const service of checked) checks.push(await untilTwo(service, () => writeChecks(consul, turned(service, true))));
  const replacements: number[] = [];
  for (const service of replaced) {
    // One instance goes, the others move: one write, of a service that was quiet.
    const write = () =>
      writeCatalog(
        consul,
        [0, 1, 2].map((i) => ({ service, id: `${service}-${i}`, port: two.port })),
        [{ service, id: `${service}-3` }],
      );
    replacements.push(await untilTwo(service, write));
  }
  const what = `${services.toLocaleString("en")} services, ${(services * instances).toLocaleString("en")} instances`;
  return [
    { area: "Consul", what: `${what}: start → answered by Envoy`, value: firstMs, unit: "ms" },
    { area: "Consul", what: `${what}: nothing changes`, value: quiet, unit: "% of a core", goal: 2 },
    {
      area: "Consul",
      what: `${what}: a check turns → live in Envoy`,
      value: median(checks),
      unit: "ms",
      goal: 200,
      note: spread(checks, 0),
    },
    {
      area: "Consul",
      what: `${what}: instances are replaced → live in Envoy`,
      value: median(replacements),
      unit: "ms",
      goal: 1000,
      note: spread(replacements, 0),
    },
  ];
}

/** Three instances turn critical and one turns well, or the other way round. */
function turned(service: string, isTurned: boolean): CatalogCheck[] {
  return [0, 1, 2, 3].map((i) => ({ service, id: `${service}-${i}`, status: (i === 3) === isTurned ? "passing" : "critical" }));
}

/** Those that are asked have all their instances at one place; what the others have is never dialled. */
async function fill(consul: RunningConsul, services: number, followed: readonly string[], port: number): Promise<void> {
  await writeNodes(consul);
  const all: CatalogInstance[] = [];
  for (let i = 0; i < services; i++) {
    for (let j = 0; j < instances; j++) {
      const service = `svc-${i}`;
      all.push({ service, id: `${service}-${j}`, port, ...(!followed.includes(service) && { address: `10.${j}.${i >> 8}.${i & 255}` }) });
    }
  }
  await writeCatalog(consul, all);
}

const object = (...parts: Parameters<typeof objectOf>) => objectOf(...parts) as PlainResource;

function settings(consul: RunningConsul): PlainResource {
  return object("Settings", "default", {
    consul: { httpAddress: `127.0.0.1:${consul.httpPort}`, serviceDiscovery: {} },
    discovery: { fdsMode: "DISABLED", udsOptions: { enabled: true } },
  });
}

function toService(serviceName: string) {
  return object("VirtualService", serviceName, {
    virtualHost: {
      domains: [`${serviceName}.test`],
      routes: [{ matchers: [{ prefix: "/" }], routeAction: { single: { consul: { serviceName } } } }],
    },
  });
}

/** User and system time of a process, in clock ticks of 10 ms (Linux). */
function cpuMs(pid: number | undefined): number {
  const fields = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1]?.split(" ") ?? [];
  return (Number(fields[11]) + Number(fields[12])) * 10;
}
