// xDS on an address that others can reach: both sides show certificates, and the name in Envoy's says which proxy it may be.
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { createXdsServer } from "../../../src/xds/server.ts";
import { freePort } from "../../servers/ports.ts";
import { TestClient } from "./client.ts";
import { backend, envoyOn, get, until, withEnvoy } from "./envoy.ts";
import { CDS, cluster } from "./fixture.ts";
import { listener, routes, staticCluster } from "./resources.ts";

const hasOpenssl = (() => {
  try {
    execFileSync("openssl", ["version"]);
    return true;
  } catch {
    if (process.env.HEADWORKS_REQUIRE_SERVERS === "1") throw new Error("openssl is required (HEADWORKS_REQUIRE_SERVERS=1) and not there");
    console.warn("SKIPPED: openssl is not there, so TLS was not tried.");
    return false;
  }
})();

interface Pair {
  readonly certFile: string;
  readonly keyFile: string;
}

/** An authority and certificates that it signed for these names. */
function certificates(names: readonly string[]): { readonly caFile: string; readonly of: (name: string) => Pair } {
  const folder = mkdtempSync(join(tmpdir(), "xds-tls-"));
  const file = (name: string) => join(folder, name);
  const openssl = (...args: string[]) => execFileSync("openssl", args, { stdio: "pipe" });
  const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
  openssl("req", "-x509", ...key, "-keyout", file("ca.key"), "-out", file("ca.pem"), "-subj", "/CN=test CA", "-days", "2");
  for (const name of names) {
    openssl("req", ...key, "-keyout", file(`${name}.key`), "-out", file(`${name}.csr`), "-subj", `/CN=${name}`);
    writeFileSync(file(`${name}.ext`), `subjectAltName=DNS:${name}\n`);
    const signed = ["-CA", file("ca.pem"), "-CAkey", file("ca.key"), "-CAcreateserial", "-days", "2", "-extfile", file(`${name}.ext`)];
    openssl("x509", "-req", "-in", file(`${name}.csr`), ...signed, "-out", file(`${name}.pem`));
  }
  return { caFile: file("ca.pem"), of: (name) => ({ certFile: file(`${name}.pem`), keyFile: file(`${name}.key`) }) };
}

withEnvoy.skipIf(!hasOpenssl)("with TLS", () => {
  test("an Envoy with a certificate is served the proxy that it may be, others are turned away", async () => {
    const pki = certificates(["headworks", "proxy", "stranger"]);
    using one = await backend("one");
    const port = await freePort();
    await using server = createXdsServer({
      authenticate: ({ certificate }) => ({ mayBe: (proxy) => proxy === `ns~${certificate?.subject.CN}` }),
    });
    server.publish("ns~proxy", {
      upserts: [staticCluster("a", one.port), routes("r", { "/": "a" }), listener("l", port, "r")],
      removals: [],
    });
    server.ready();
    const own = pki.of("headworks");
    const tls = { cert: readFileSync(own.certFile), key: readFileSync(own.keyFile), clientCa: readFileSync(pki.caFile) };
    const { port: xdsPort } = (await server.listen({ host: "0.0.0.0", port: 0 }, { tls })) as { port: number };
    const address = { host: "127.0.0.1", port: xdsPort };

    const identity = (name: string) => ({ tls: { caFile: pki.caFile, ...pki.of(name), serverName: "headworks" } });
    await using stranger = await envoyOn(address, identity("stranger"));
    await until("the stranger is turned away", () => (server.metrics.ended.PERMISSION_DENIED ?? 0) > 0);
    expect(server.clients()).toEqual([]);
    await stranger.kill();

    await using _envoy = await envoyOn(address, identity("proxy"));
    await until("first answer", async () => (await get(port))?.body === "one");
  });

  test("a client without TLS, or without a certificate, gets nothing", async () => {
    const pki = certificates(["headworks"]);
    await using server = createXdsServer();
    server.publish("ns~proxy", { upserts: [cluster("a")], removals: [] });
    const own = pki.of("headworks");
    const tls = { cert: readFileSync(own.certFile), key: readFileSync(own.keyFile), clientCa: readFileSync(pki.caFile) };
    const address = await server.listen({ host: "127.0.0.1", port: 0 }, { tls });
    await using client = new TestClient(address);
    client.subscribe(CDS);
    expect((await client.ended).code).toBe(14);
    expect(server.metrics.streamsTotal).toBe(0);
  });
});
