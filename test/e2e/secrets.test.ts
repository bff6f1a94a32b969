// Key material travels apart from what uses it: a certificate that is renewed changes no listener and no cluster of a real Envoy, and
// stands in the configuration of nobody else.
import { connect } from "node:tls";
import { expect, test } from "vitest";
import { certificates, type KeyPair } from "../../src/dataplane/testing/certificates.ts";
import { askTls } from "../../src/dataplane/testing/tls.ts";
import { bestOfThree } from "../../src/lib/testing/bestOf.ts";
import { typeUrls } from "../../src/model/envoy-resource.ts";
import { backend, object, until, upstream, virtualService } from "./gateway.ts";
import { inProcess } from "./in-process.ts";

const base64 = (text: string) => Buffer.from(text).toString("base64");

function secret(name: string, pair: KeyPair, authority?: KeyPair) {
  const data = {
    "tls.crt": base64(pair.certificate),
    "tls.key": base64(pair.key),
    ...(authority && { "ca.crt": base64(authority.certificate) }),
  };
  return { apiVersion: "v1", kind: "Secret", type: "kubernetes.io/tls", metadata: { name, namespace: "gloo-system" }, data };
}

test("renewed certificates are shown to new connections, and no listener or cluster changes for them", bestOfThree, async () => {
  using made = certificates();
  await using web = await backend("web");
  const host = virtualService("web", "web");
  const sslConfig = { secretRef: { name: "web", namespace: "gloo-system" }, sniDomains: ["web.test"] };
  const client = object("Upstream", "client", {
    static: { hosts: [{ addr: "127.0.0.1", port: web.port }] },
    sslConfig: { secretRef: { name: "client", namespace: "gloo-system" }, sni: "x.test", verifySubjectAltName: ["x.test"] },
  });
  const authority = made.selfSigned("authority.test");
  const others = [upstream("web", web.port), { ...host, spec: { ...host.spec, sslConfig } }, client, virtualService("client", "client")];
  await using run = await inProcess({
    gateway: { httpGateway: {}, ssl: true },
    objects: [
      ...others,
      secret("web", made.selfSigned("one.web.test")),
      secret("client", made.selfSigned("client.test"), authority),
    ] as never,
  });
  const { port } = run;
  const shown = () => askTls(port, { servername: "web.test" }, "GET / HTTP/1.1\r\nHost: web.test\r\n\r\n").then((outcome) => outcome.shown);
  const stat = async (name: string) =>
    Number(new RegExp(`^${name}: (\\d+)$`, "m").exec(await run.envoy.admin(`/stats?filter=${name}`))?.[1] ?? 0);
  const changes = async () => ({
    listeners: (await stat("listener_manager.listener_modified")) + (await stat("listener_manager.listener_in_place_updated")),
    clusters: await stat("cluster_manager.cluster_modified"),
  });
  await until("it is served", async () => (await shown()) === "one.web.test");

  // The key stands in the Secrets, and nowhere else.
  const served = run.plane.current.proxies.get("gloo-system~gateway-proxy") ?? [];
  const withKeys = served.filter(({ bytes }) => Buffer.from(bytes).includes("PRIVATE KEY"));
  expect(withKeys.map(({ typeUrl, name }) => `${typeUrl === typeUrls.secret} ${name}`).sort()).toEqual([
    "true cluster/gloo-system/client",
    "true listener/gloo-system/web",
  ]);

  const before = await changes();
  const open = connect({ port, host: "127.0.0.1", servername: "web.test", rejectUnauthorized: false });
  await new Promise((resolve) => open.once("secureConnect", resolve));
  run.apply(secret("web", made.selfSigned("two.web.test")) as never, secret("client", made.selfSigned("client.test"), authority) as never);
  const from = performance.now();
  await until("the new one is shown", async () => (await shown()) === "two.web.test");
  expect(performance.now() - from).toBeLessThan(5_000);
  expect(await changes()).toEqual(before);
  // Who was connected stays so.
  const answer = new Promise<string>((resolve) => open.once("data", (data) => resolve(data.toString("latin1"))));
  open.write("GET / HTTP/1.1\r\nHost: web.test\r\n\r\n");
  expect(await answer).toMatch(/^HTTP\/1\.1 200/);
  open.destroy();

  // Deleted while it is in use, a Secret is missed by nobody but us.
  run.reset(...others);
  const findings = () => run.plane.current.findings.map(({ problem }) => `${problem.reason} ${problem.resource}`);
  await until("it is said", () => findings().includes("SecretDeleted Gateway gloo-system/gateway-proxy"));
  expect(findings()).toContain("SecretDeleted Upstream gloo-system/client");
  await run.settled();
  expect(await shown()).toBe("two.web.test");
  expect(await changes()).toEqual(before);
  expect(run.refusals).toEqual([]);
  expect(run.faults).toEqual([]);
});
