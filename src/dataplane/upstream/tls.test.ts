// TLS towards upstreams whose certificates and authorities come apart from the cluster: as secrets, or as files.

import { writeFileSync } from "node:fs";
import { createServer } from "node:https";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { envoyResource, packAny } from "../../envoy/encode.ts";
import { SecretSchema } from "../../gen/envoy/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import { UpstreamTlsContextSchema } from "../../gen/envoy/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import type { EnvoyResource } from "../../model/envoy-resource.ts";
import { createXdsServer } from "../../xds/server.ts";
import { type Certificates, certificates, type KeyPair } from "../testing/certificates.ts";
import { rawRequest } from "../testing/raw.ts";
import {
  allTo,
  type ClusterInit,
  listener,
  routeConfig,
  type ServedDataPlane,
  serve,
  staticCluster,
  testProxy,
} from "../testing/resources.ts";
import { inline } from "../testing/tls.ts";

let made: Certificates;
let authority: KeyPair;
let other: KeyPair;
let one: KeyPair;
let two: KeyPair;
let server: ReturnType<typeof createServer>;
let port = 0;
let connections = 0;
let plane: ServedDataPlane | undefined;

beforeAll(async () => {
  made = certificates();
  [authority, other] = [made.selfSigned("authority.test"), made.selfSigned("other.test")];
  [one, two] = [made.signed("one.test", authority), made.signed("two.test", authority)];
  const { certificate: cert, key } = made.signed("web.test", authority);
  // Says who the client is, on a connection of its own each time unless it is asked to keep it.
  server = createServer({ cert, key, requestCert: true, rejectUnauthorized: false }, (request, response) => {
    if (request.url !== "/keep") response.setHeader("connection", "close");
    response.end(String((request.socket as TLSSocket).getPeerCertificate().subject?.CN ?? "nobody"));
  });
  server.on("connection", () => connections++);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  port = (server.address() as { port: number }).port;
});

afterEach(async () => {
  await plane?.[Symbol.asyncDispose]();
  plane = undefined;
});

afterAll(() => {
  server.closeAllConnections();
  server.close();
  made[Symbol.dispose]();
});

const ads = { configSourceSpecifier: { case: "ads", value: {} } };
const grpc = (targetSpecifier: object) => ({
  configSourceSpecifier: { case: "apiConfigSource", value: { apiType: 2, grpcServices: [{ targetSpecifier }] } },
});
/** Secrets come from a server of the user's own. */
const from = (targetUri: string) => grpc({ case: "googleGrpc", value: { targetUri, statPrefix: "a" } });
const byName = (sdsConfig: object = ads) => ({
  tlsCertificateSdsSecretConfigs: [{ name: "pair", sdsConfig }],
  validationContextType: { case: "validationContextSdsSecretConfig", value: { name: "ca", sdsConfig } },
});
const cluster = (commonTlsContext: object, more: ClusterInit = {}) =>
  staticCluster("a", [port], {
    transportSocket: {
      name: "tls",
      configType: { case: "typedConfig", value: packAny(UpstreamTlsContextSchema, { sni: "web.test", commonTlsContext } as never) },
    },
    ...more,
  } as ClusterInit);
const secret = (name: string, type: object) => envoyResource(SecretSchema, name, { name, type } as never, []);
const pair = ({ certificate, key }: KeyPair) =>
  secret("pair", { case: "tlsCertificate", value: { certificateChain: inline(certificate), privateKey: inline(key) } });
const ca = ({ certificate }: KeyPair) => secret("ca", { case: "validationContext", value: { trustedCa: inline(certificate) } });

async function served(...resources: Parameters<typeof serve>[0]): Promise<ServedDataPlane> {
  plane = await serve([...resources, routeConfig([allTo("a")]), listener(0)]);
  return plane;
}

async function answer({ port }: ServedDataPlane, path = "/"): Promise<string | number | undefined> {
  const response = await rawRequest(port, `GET ${path} HTTP/1.1\r\nHost: a\r\n\r\n`);
  return response?.status === 200 ? response.body : response?.status;
}

test("a renewed certificate is shown to the next connection, and those that are open go on", async () => {
  const plane = await served(cluster(byName()), pair(one), ca(authority));
  expect(await answer(plane)).toBe("one.test");
  expect(await answer(plane, "/keep")).toBe("one.test");
  plane.publish(pair(two));
  expect(await answer(plane, "/keep")).toBe("one.test");
  expect(await answer(plane)).toBe("one.test"); // the last one on the connection that was kept
  expect(await answer(plane)).toBe("two.test");
  plane.publish(ca(other));
  expect(await answer(plane)).toBe(503);
});

test("while a secret is not there nobody is connected to", async () => {
  const plane = await served(cluster(byName()), pair(one));
  expect(await answer(plane)).toBe(503);
  plane.publish(ca(authority));
  expect(await answer(plane)).toBe("one.test");
  plane.remove(ca(authority));
  expect(await answer(plane)).toBe(503);
  plane.publish(ca(authority));
  plane.remove(pair(one));
  expect(await answer(plane)).toBe(503);
});

test("keys are forgotten with the configuration that they came with", async () => {
  const plane = await served(cluster(byName()), pair(one), ca(authority));
  expect(await answer(plane)).toBe("one.test");
  plane.plane.retire?.(testProxy);
  plane.publish(cluster(byName()), routeConfig([allTo("a")]), listener(0));
  await plane.plane.settled();
  const [bound] = plane.plane.listeners();
  expect(await answer({ ...plane, port: bound?.port ?? 0 })).toBe(503);
});

test("secrets come from an SDS server of the user's own, and change as it says", async () => {
  const server = createXdsServer();
  const say = (...upserts: EnvoyResource[]) => server.publish(testProxy, { upserts, removals: [] });
  say(pair(one), ca(authority));
  server.ready();
  const { port } = (await server.listen({ host: "127.0.0.1", port: 0 })) as { port: number };
  const plane = await served(cluster(byName(from(`127.0.0.1:${port}`))));
  await expect.poll(() => answer(plane)).toBe("one.test");
  expect(plane.plane.unsupported()).toEqual([]);
  say(pair(two));
  await expect.poll(() => answer(plane)).toBe("two.test");
  // What cannot be used leaves the one before in service.
  say(secret("pair", { case: "tlsCertificate", value: { certificateChain: inline("none"), privateKey: inline("none") } }));
  await expect
    .poll(() => problems(plane))
    .toEqual([expect.stringMatching(/^warning SecretNotReceived secret pair of .* cannot be used: .*; the one before/)]);
  expect(await answer(plane)).toBe("two.test");
  say(pair(one));
  await expect.poll(() => problems(plane)).toEqual([]);
  await server[Symbol.asyncDispose]();
  // Nor does a server that is gone take one away.
  await expect
    .poll(() => problems(plane))
    .toContainEqual(expect.stringMatching(/^warning SecretNotReceived secret ca of .*; the one before serves on/));
  expect(await answer(plane)).toBe("one.test");
  plane.publish(cluster({}));
  expect(problems(plane)).toEqual([]);
});

test("whom the cluster believes is what it and its secret say together", async () => {
  const exactly = (value: string) => ({ matchPattern: { case: "exact", value } });
  const validation = (value: object) => secret("ca", { case: "validationContext", value });
  const combined = (defaultValidationContext: object) => ({
    validationContextType: {
      case: "combinedValidationContext",
      value: { defaultValidationContext, validationContextSdsSecretConfig: { name: "ca", sdsConfig: ads } },
    },
  });
  const trustedCa = inline(authority.certificate);
  /** The server is web.test, signed by the authority. */
  const told = async (configured: object, published: object) => {
    const plane = await served(cluster(combined(configured)), validation(published));
    const found = await answer(plane);
    await plane[Symbol.asyncDispose]();
    return found;
  };
  expect(await told({}, { trustedCa, matchSubjectAltNames: [exactly("web.test")] })).toBe("nobody");
  expect(await told({}, { trustedCa, matchSubjectAltNames: [exactly("other.test")] })).toBe(503);
  expect(await told({ matchSubjectAltNames: [exactly("web.test")] }, { trustedCa, matchSubjectAltNames: [exactly("other.test")] })).toBe(
    "nobody",
  );
  expect(await told({ trustedCa: inline(other.certificate) }, { matchSubjectAltNames: [exactly("web.test")] })).toBe(503);
  expect(await told({ trustedCa: inline(other.certificate) }, { trustedCa })).toBe("nobody");
  expect(await told({ trustedCa }, { trustedCa: inline(other.certificate) })).toBe(503);
  // Names without an authority: nobody vouches for them.
  expect(await told({}, { matchSubjectAltNames: [exactly("web.test")] })).toBe(503);
});

test("as long as an SDS server says nothing nobody is connected to, and that is a Warning", async () => {
  const plane = await served(cluster(byName(from("127.0.0.1:1"))), pair(one), ca(authority));
  expect(await answer(plane)).toBe(503);
  await expect
    .poll(() => problems(plane))
    .toEqual(
      ["ca", "pair"].map((name) => `warning SecretNotReceived secret ${name} of the SDS server 127.0.0.1:1: ECONNREFUSED; ${noConnection}`),
    );
  plane.remove(cluster({}));
  expect(problems(plane)).toEqual([]);
});

test("a cluster whose SDS server cannot be asked gets no request, and says why", async () => {
  const named = grpc({ case: "envoyGrpc", value: { clusterName: "gateway_proxy_sds" } });
  const before = connections;
  const healthChecks = [{ timeout: { seconds: 1n }, interval: { seconds: 1n }, healthChecker: { case: "tcpHealthCheck", value: {} } }];
  const plane = await served(cluster(byName(named), { healthChecks } as ClusterInit), pair(one), ca(authority));
  expect(await answer(plane)).toBe(503);
  await expect.poll(() => plane.plane.stats()["cluster.a.health_check.failure"]).toBeGreaterThan(0);
  expect(connections).toBe(before);
  expect(problems(plane)).toEqual([
    expect.stringMatching(/^warning EnvoyFieldNotExecuted .*tls_certificate_sds_secret_configs\[0\]: an SDS server that is not .* 503/),
    expect.stringMatching(/^warning EnvoyFieldNotExecuted .*validation_context_sds_secret_config: an SDS server that is not .* 503/),
  ]);
});

const noConnection = "until it comes, no connection that needs it is made";

function problems({ plane }: ServedDataPlane): string[] {
  return plane
    .unsupported()
    .map(({ severity, reason, message }) => `${severity} ${reason} ${message}`)
    .sort();
}

test("files are read when the configuration comes; a cluster with one that cannot be read gets no request", async () => {
  const file = (name: string, text: string) => {
    writeFileSync(join(made.folder, name), text);
    return { specifier: { case: "filename", value: join(made.folder, name) } };
  };
  const files = (trustedCa: object) => ({
    tlsCertificates: [{ certificateChain: file("a.crt", one.certificate), privateKey: file("a.key", one.key) }],
    validationContextType: { case: "validationContext", value: { trustedCa } },
  });
  const plane = await served(cluster(files(file("ca.crt", authority.certificate))));
  expect(await answer(plane)).toBe("one.test");
  expect(plane.plane.unsupported()).toEqual([]);
  plane.publish(cluster(files(file("other.crt", other.certificate))));
  expect(await answer(plane)).toBe(503);
  plane.publish(cluster(files({ specifier: { case: "filename", value: "/no/such/file" } })));
  expect(await answer(plane)).toBe(503);
  expect(plane.plane.unsupported()).toMatchObject([{ message: expect.stringContaining("cannot read /no/such/file: ENOENT") }]);
});

test("settings that node:tls does not take cost requests to their cluster, and no more", async () => {
  const broken = { tlsCertificates: [{ certificateChain: inline("no certificate"), privateKey: inline("no key") }] };
  const plane = await served(cluster(broken));
  expect(await answer(plane)).toBe(503);
  plane.publish(cluster({}));
  expect(await answer(plane)).toBe("nobody");
});
