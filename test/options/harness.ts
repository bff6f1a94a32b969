// Serves all cases at once: one Envoy on our own xDS, in this process. Each case has a namespace and a host name of its own; options of
// listeners give it a Gateway with a port of its own.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { ListenAddress } from "../../src/dataplane/compile/listener.ts";
import { createDataPlane } from "../../src/dataplane/dataplane.ts";
import { certificates } from "../../src/dataplane/testing/certificates.ts";
import { type InProcess, inProcess, proxy } from "../e2e/in-process.ts";
import { freePorts } from "../servers/ports.ts";
import { ask, raw } from "./ask.ts";
import { startEcho } from "./echo.ts";
import { startGrpc } from "./grpc.ts";
import { type Given, type OptionCase, object, type Place, route, type Seen, type Servers, shared } from "./option-case.ts";

export interface Served extends AsyncDisposable {
  readonly process: InProcess;
  of(each: OptionCase, through?: "envoy" | "embedded"): Seen;
  /** What was said about the objects of a case. */
  saidOf(each: OptionCase): readonly string[];
}

/** @param embedded the embedded data plane serves them, too, on ports of its own */
export async function serve(cases: readonly OptionCase[], embedded = false): Promise<Served> {
  await using open = new AsyncDisposableStack();
  const folder = mkdtempSync(join(tmpdir(), "headworks-options-"));
  open.defer(() => rmSync(folder, { recursive: true, force: true }));
  const made = open.use(certificates());
  const authority = made.selfSigned("authority.test");
  const ofServers = made.selfSigned("authority-of-servers.test");
  const secure = made.signed("secure.test", ofServers, "IP:127.0.0.1");
  const servers: Servers = {
    echo: open.use(await startEcho("echo")),
    other: open.use(await startEcho("other")),
    grpc: open.use(await startGrpc()),
    secure: {
      port: open.use(await startEcho("secure", { key: secure.key, cert: secure.certificate })).port,
      authority: ofServers.certificate,
    },
    tls: { leaf: made.signed("leaf.test", authority), authority },
  };
  const ports = await freePorts((cases.length + 1) * (embedded ? 2 : 1));
  const places = new Map(
    cases.map((each, i): [OptionCase, Place] => {
      const name = `case-${i}`;
      mkdirSync(join(folder, name));
      return [each, { name, port: ports[i] as number, host: `${name}.test`, folder: join(folder, name), servers }];
    }),
  );
  const spare = ports.slice(cases.length + 1);
  /** Of the embedded data plane, by those that the configuration says. */
  const others = new Map<number, number>();
  const bindOverride = (_: string, address: ListenAddress): ListenAddress => {
    if (address.kind !== "tcp") return address;
    const port = others.get(address.port) ?? (spare.pop() as number);
    others.set(address.port, port);
    return { ...address, port };
  };
  const plane = embedded ? open.use(createDataPlane({ proxy, bindOverride })) : undefined;
  const objects = cases.flatMap((each) => objectsOf(givenOf(each, placeOf(each)), placeOf(each)));
  const process = open.use(
    await inProcess({
      objects: [...upstreams(servers, ports[cases.length] as number), ...objects],
      gateway: { httpGateway: { virtualServiceSelector: { listener: shared } } },
      ...(plane && { consumers: [plane] }),
      // Ten seconds by default.
      args: ["--file-flush-interval-msec", "20"],
    }),
  );
  await process.settled();
  await plane?.settled();
  const stays = open.move();

  function placeOf(each: OptionCase): Place {
    const place = places.get(each);
    if (place === undefined) throw new Error(`not served: ${each.fact}`);
    return place;
  }

  return {
    process,
    of(each, through = "envoy") {
      const place = placeOf(each);
      const said = hasListener(givenOf(each, place)) ? place.port : process.port;
      const port = through === "envoy" ? said : (others.get(said) ?? 0);
      return {
        ...place,
        port,
        ask: (path = "/", asked = {}) => ask(port, place.host, path, { ...asked, headers: { "x-case": place.name, ...asked.headers } }),
        raw: (text, until) => raw(port, text, until),
        stat: async (name) => Number((await process.envoy.admin(`/stats?filter=${encodeURIComponent(`^${name}$`)}`)).split(": ")[1] ?? 0),
        async eventually(what, isSo) {
          const deadline = performance.now() + 60_000;
          while (!(await isSo())) {
            if (performance.now() > deadline) throw new Error(`not so after 60 s: ${what}`);
            await delay(10);
          }
        },
      };
    },
    saidOf(each) {
      const { name } = placeOf(each);
      return process.plane.current.findings
        .map(({ problem }) => problem)
        .filter(({ resource = "" }) => resource.includes(` ${name}/`) || resource.endsWith(`/${name}`))
        .map(({ severity, path, message, hint }) => `${severity} ${path ?? ""}: ${message}${hint ? ` [${hint}]` : ""}`);
    },
    [Symbol.asyncDispose]: () => stays[Symbol.asyncDispose](),
  };
}

function givenOf({ given }: OptionCase, place: Place): Given {
  return typeof given === "function" ? given(place) : given;
}

function hasListener(given: Given): boolean {
  return [given.listener, given.http, given.hcm, given.tcp, given.gateway, given.routeConfiguration].some((each) => each !== undefined);
}

function objectsOf(given: Given, place: Place): object[] {
  const { name, host, port } = place;
  const own = hasListener(given);
  const gateway = () => {
    const { listener, http, hcm, routeConfiguration, gateway = {} } = given;
    const options = { ...http, ...(hcm && { httpConnectionManagerSettings: hcm }) };
    const kind = given.tcp
      ? {
          tcpGateway: {
            options: given.tcp,
            tcpHosts: [{ name, destination: { single: { upstream: { name: given.to ?? "echo", namespace: shared } } } }],
          },
        }
      : { httpGateway: { virtualServices: [{ name, namespace: name }], options } };
    return object("Gateway", name, "gloo-system", {
      bindAddress: "127.0.0.1",
      bindPort: port,
      ...kind,
      ...(listener && { options: listener }),
      ...(routeConfiguration && { routeOptions: routeConfiguration }),
      ...gateway,
    });
  };
  const virtualService = () => {
    const upstream = { name: given.to ?? "echo", namespace: shared };
    const action = given.weighted
      ? { multi: { destinations: [{ weight: 1, destination: { upstream }, options: given.weighted }] } }
      : { single: { upstream } };
    const routes = given.routes ?? [route(given.route && { options: given.route }, { routeAction: action })];
    const virtualHost = { domains: given.domains ?? [host], routes, ...(given.virtualHost && { options: given.virtualHost }) };
    return object("VirtualService", name, name, { virtualHost, ...given.virtualService }, own ? {} : { listener: shared });
  };
  return [...(own ? [gateway()] : []), ...(given.tcp ? [] : [virtualService()]), ...(given.objects ?? [])];
}

function upstreams({ echo, other, grpc }: Servers, closed: number): object[] {
  const upstream = (name: string, ports: readonly number[], more: object = {}) =>
    object("Upstream", name, shared, { static: { hosts: ports.map((port) => ({ addr: "127.0.0.1", port })) }, ...more });
  return [
    upstream("echo", [echo.port]),
    upstream("other", [other.port]),
    upstream("both", [echo.port, other.port]),
    upstream("ring", [echo.port, other.port], { loadBalancerConfig: { ringHash: {} } }),
    upstream("grpc", [grpc.port], { useHttp2: true }),
    upstream("closed", [closed]),
  ];
}
