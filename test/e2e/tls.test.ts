// A Gateway with TLS, as its users have it: certificates in Secrets of Kubernetes in the folder, VirtualServices that name them.
import { describe, expect, test } from "vitest";
import { certificates, type KeyPair } from "../../src/dataplane/testing/certificates.ts";
import { askTls, type TlsOutcome } from "../../src/dataplane/testing/tls.ts";
import { ask, backend, type Folder, folder, object, proxies, run, until, upstream, virtualService } from "./gateway.ts";

const base64 = (text: string) => Buffer.from(text).toString("base64");

function secret(name: string, { certificate, key }: KeyPair, authority?: KeyPair) {
  const data = {
    "tls.crt": base64(certificate),
    "tls.key": base64(key),
    ...(authority && { "ca.crt": base64(authority.certificate) }),
  };
  return { apiVersion: "v1", kind: "Secret", type: "kubernetes.io/tls", metadata: { name, namespace: "gloo-system" }, data };
}

function withTls(name: string, to: string, ssl: object = {}) {
  const plain = virtualService(name, to);
  const sslConfig = { secretRef: { name, namespace: "gloo-system" }, sniDomains: [`${name}.test`], ...ssl };
  return { ...plain, spec: { ...plain.spec, sslConfig } };
}

async function tlsFolder(): Promise<Folder> {
  const config = await folder();
  config.write(
    "gateway.yaml",
    object("Gateway", "gateway-proxy", { bindAddress: "127.0.0.1", bindPort: config.port, ssl: true, httpGateway: {} }),
  );
  return config;
}

const asked = ({ port }: Folder, host: string, more: object = {}): Promise<TlsOutcome> =>
  askTls(port, { servername: host, ...more }, `GET /p HTTP/1.1\r\nHost: ${host}\r\n\r\n`);

const untilShown = (config: Folder, host: string, name: string) =>
  until(`${host} is answered with the certificate of ${name}`, async () => {
    const { status, shown } = await asked(config, host);
    return status === 200 && shown === name;
  });

describe.each(proxies)("--proxy %s", (proxy) => {
  test("each VirtualService has its own certificate; a name that nobody has is refused, plain text too", async () => {
    using made = certificates();
    await using one = await backend("one");
    using config = await tlsFolder();
    config.write("upstream.yaml", upstream("one", one.port));
    for (const name of ["a", "b"]) {
      config.write(`${name}.yaml`, [withTls(name, "one"), secret(name, made.selfSigned(`${name}.test`))]);
    }
    await using running = await run(config, "--proxy", proxy);
    await untilShown(config, "a.test", "a.test");
    expect(await asked(config, "b.test")).toEqual({
      status: 200,
      body: "one /p",
      shown: "b.test",
      protocol: "http/1.1",
      version: "TLSv1.3",
    });
    expect(await asked(config, "c.test")).toMatchObject({ status: "refused" });
    expect(await ask(config.port, "a.test")).toBeUndefined();
    expect(running.stderr()).not.toMatch(/HW5\d\d\d/);
  });

  test("a new certificate is shown once its Secret has it; a broken one costs its neighbours nothing", async () => {
    using made = certificates();
    await using one = await backend("one");
    using config = await tlsFolder();
    const [first, second] = [made.selfSigned("first.test"), made.selfSigned("second.test")];
    config.write("upstream.yaml", upstream("one", one.port));
    config.write("a.yaml", withTls("a", "one"));
    config.write("b.yaml", [withTls("b", "one"), secret("b", first)]);
    config.write("secret.yaml", secret("a", first));
    await using running = await run(config, "--proxy", proxy);
    await untilShown(config, "a.test", "first.test");
    config.write("secret.yaml", secret("a", second));
    await untilShown(config, "a.test", "second.test");
    config.write("secret.yaml", secret("a", { certificate: first.certificate, key: second.key }));
    await running.said(/✖ .*HW\d+/);
    expect(await asked(config, "b.test")).toMatchObject({ status: 200, shown: "first.test" });
    config.write("secret.yaml", secret("a", first));
    await untilShown(config, "a.test", "first.test");
  });

  test("with a root certificate in the Secret, clients must show one of its certificates", async () => {
    using made = certificates();
    await using one = await backend("one");
    using config = await tlsFolder();
    const authority = made.selfSigned("authority.test");
    const [good, bad] = [made.signed("client.test", authority), made.selfSigned("client.test")];
    config.write("upstream.yaml", upstream("one", one.port));
    config.write("a.yaml", [withTls("a", "one"), secret("a", made.selfSigned("a.test"), authority)]);
    config.write("b.yaml", [
      withTls("b", "one", { verifySubjectAltName: ["other.test"] }),
      secret("b", made.selfSigned("b.test"), authority),
    ]);
    await using running = await run(config, "--proxy", proxy);
    const shows = ({ certificate, key }: KeyPair) => ({ cert: certificate, key });
    await until("the good client is let in", async () => (await asked(config, "a.test", shows(good))).status === 200);
    expect(await asked(config, "a.test")).toMatchObject({ status: "refused" });
    expect(await asked(config, "a.test", shows(bad))).toMatchObject({ status: "refused" });
    expect(await asked(config, "b.test", shows(good))).toMatchObject({ status: "refused" });
    expect(running.stderr()).not.toMatch(/HW5\d\d\d/);
  });
});
