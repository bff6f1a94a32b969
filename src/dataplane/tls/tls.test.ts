// TLS towards clients, through real sockets: which chain, which certificate, who is let in, what a change costs.

import { once } from "node:events";
import { connect } from "node:net";
import { join } from "node:path";
import { Duplex } from "node:stream";
import { setTimeout as delay } from "node:timers/promises";
import { connect as connectOver } from "node:tls";
import { afterAll, afterEach, beforeAll, expect, test } from "vitest";
import { envoyResource, packAny } from "../../envoy/encode.ts";
import { ListenerSchema } from "../../gen/envoy/envoy/config/listener/v3/listener_pb.js";
import { ProxyProtocolSchema } from "../../gen/envoy/envoy/extensions/filters/listener/proxy_protocol/v3/proxy_protocol_pb.js";
import { SecretSchema } from "../../gen/envoy/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import { bestOfThree } from "../../lib/testing/bestOf.ts";
import { createXdsServer } from "../../xds/server.ts";
import { type Certificates, certificates, type KeyPair } from "../testing/certificates.ts";
import { http2Client } from "../testing/http2.ts";
import { type EchoRequest, parseRaw, type RawUpstream, rawRequest, rawUpstream } from "../testing/raw.ts";
import { allTo, routeConfig, type ServedDataPlane, serve, staticCluster, testProxy } from "../testing/resources.ts";
import { askTls, connectTls, inline, shownBy, type TlsChain, tlsListener } from "../testing/tls.ts";
import { readHello } from "./client-hello.ts";

let made: Certificates;
let a: KeyPair;
let b: KeyPair;
let other: KeyPair;
let authority: KeyPair;
let client: KeyPair;
let upstream: RawUpstream;
const started: AsyncDisposable[] = [];

beforeAll(async () => {
  made = certificates();
  a = made.selfSigned("a.test");
  b = made.selfSigned("b.test");
  other = made.selfSigned("other.test");
  authority = made.selfSigned("authority.test");
  client = made.signed("client.test", authority);
  upstream = await rawUpstream("up");
});

afterAll(async () => {
  await upstream[Symbol.asyncDispose]();
  made[Symbol.dispose]();
});

afterEach(async () => {
  for (const each of started.splice(0)) await each[Symbol.asyncDispose]();
});

const resource = (chains: readonly TlsChain[], fallback?: TlsChain) =>
  envoyResource(ListenerSchema, "tls", tlsListener(0, chains, fallback && { fallback }), []);

async function served(chains: readonly TlsChain[], fallback?: TlsChain): Promise<ServedDataPlane> {
  const plane = await serve([staticCluster("up", [upstream.port]), routeConfig([allTo("up")]), resource(chains, fallback)]);
  started.push(plane);
  return plane;
}

const shown = async (port: number, servername?: string) => (await askTls(port, servername === undefined ? {} : { servername })).shown;
const messages = ({ plane }: ServedDataPlane) => plane.unsupported().map(({ message }) => message);

test("a chain is chosen by SNI: its name, then the longest wildcard, then the chain for all", async () => {
  const plane = await served([
    { names: ["one.a.test"], certificate: a },
    { names: ["*.a.test"], certificate: b },
    { names: ["*.test"], certificate: other },
    { certificate: authority },
  ]);
  expect(plane.plane.unsupported()).toEqual([]);
  expect(await shown(plane.port, "ONE.A.test")).toBe("a.test");
  expect(await shown(plane.port, "two.a.test")).toBe("b.test");
  expect(await shown(plane.port, "x.y.a.test")).toBe("b.test");
  expect(await shown(plane.port, "c.test")).toBe("other.test");
  expect(await shown(plane.port, "elsewhere.example")).toBe("authority.test");
  expect(await shown(plane.port)).toBe("authority.test");
});

test("a name that no chain takes is refused; with a default chain it is not", async () => {
  const plane = await served([{ names: ["a.test"], certificate: a }]);
  expect(await askTls(plane.port, { servername: "b.test" })).toMatchObject({ status: "refused" });
  expect(await askTls(plane.port)).toMatchObject({ status: "refused" });
  expect(await rawRequest(plane.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n")).toBeUndefined();
  plane.publish(resource([{ names: ["a.test"], certificate: a }], { certificate: b }));
  expect(await shown(plane.port, "b.test")).toBe("b.test");
});

test("the client chooses between the protocols that are offered, and upstreams learn that it used https", async () => {
  const plane = await served([{ certificate: a, hcm: { useRemoteAddress: true } }]);
  const outcome = await askTls(plane.port, { ALPNProtocols: ["http/1.1"] });
  expect(outcome).toMatchObject({ status: 200, protocol: "http/1.1", version: "TLSv1.3" });
  const got = JSON.parse(outcome.body) as EchoRequest;
  expect(got.headers).toContainEqual(["x-forwarded-proto", "https"]);
  await using client = http2Client(plane.port, {});
  const answer = await client.ask([":scheme", "https"]);
  expect(answer.status).toBe(200);
  expect((JSON.parse(answer.body) as EchoRequest).headers).toContainEqual(["x-forwarded-proto", "https"]);
});

test("a host is not tied to the name in SNI, as in Envoy", async () => {
  const plane = await served([{ names: ["a.test"], certificate: a }]);
  const request = "GET / HTTP/1.1\r\nHost: somewhere.else\r\n\r\n";
  expect(await askTls(plane.port, { servername: "a.test" }, request)).toMatchObject({ status: 200 });
});

test("a chain that offers nothing we speak is not served, and says so; its neighbour is", async () => {
  const plane = await served([
    { names: ["a.test"], certificate: a, common: { alpnProtocols: ["h3"] } },
    { names: ["b.test"], certificate: b },
  ]);
  expect(messages(plane)).toEqual([expect.stringContaining("alpn_protocols: h3; the filter chain is not served")]);
  expect(await askTls(plane.port, { servername: "a.test" })).toMatchObject({ status: "refused" });
  expect(await askTls(plane.port, { servername: "b.test" })).toMatchObject({ status: 200 });
});

test("a broken certificate costs its chain, whose clients no other chain gets", async () => {
  const plane = await served([
    { names: ["a.test"], certificate: { ...a, certificate: b.certificate } },
    { names: ["b.test"], certificate: { certificate: "nonsense", key: "nonsense" } },
    { certificate: other },
  ]);
  expect(plane.plane.unsupported()).toMatchObject([{ reason: "EnvoyValueRefused" }, { reason: "EnvoyValueRefused" }]);
  expect(await askTls(plane.port, { servername: "a.test" })).toMatchObject({ status: "refused" });
  expect(await askTls(plane.port, { servername: "b.test" })).toMatchObject({ status: "refused" });
  expect(await askTls(plane.port, { servername: "c.test" })).toMatchObject({ status: 200, shown: "other.test" });
});

test("a certificate that breaks leaves the one before in service", async () => {
  const plane = await served([{ names: ["a.test"], certificate: a }]);
  expect(await shown(plane.port, "a.test")).toBe("a.test");
  plane.publish(resource([{ names: ["a.test"], certificate: { ...b, key: a.key } }, { certificate: other }]));
  expect(messages(plane)).toEqual([expect.stringContaining("the one before serves on")]);
  expect(await shown(plane.port, "a.test")).toBe("a.test");
  expect(await shown(plane.port)).toBe("other.test");
  plane.publish(resource([{ names: ["a.test"], certificate: b }]));
  expect(await shown(plane.port, "a.test")).toBe("b.test");
  expect(plane.plane.unsupported()).toEqual([]);
});

test("clients must show a certificate of the authority where one is required", async () => {
  const plane = await served([
    { names: ["a.test"], certificate: a, clientsOf: authority },
    { names: ["b.test"], certificate: b, clientsOf: authority, required: false },
  ]);
  expect(plane.plane.unsupported()).toEqual([]);
  const good = { cert: client.certificate, key: client.key };
  const bad = { cert: other.certificate, key: other.key };
  const status = async (options: object) => (await askTls(plane.port, options)).status;
  for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
    expect(await status({ servername: "a.test", maxVersion })).toBe("refused");
    expect(await status({ servername: "a.test", maxVersion, ...bad })).toBe("refused");
    expect(await status({ servername: "a.test", maxVersion, ...good })).toBe(200);
    expect(await status({ servername: "b.test", maxVersion })).toBe(200);
    expect(await status({ servername: "b.test", maxVersion, ...bad })).toBe("refused");
    expect(await status({ servername: "b.test", maxVersion, ...good })).toBe(200);
  }
});

test("a session that is resumed keeps what its client showed", async () => {
  const plane = await served([{ certificate: a, clientsOf: authority }]);
  for (const maxVersion of ["TLSv1.2", "TLSv1.3"] as const) {
    const options = { cert: client.certificate, key: client.key, maxVersion };
    const first = connectTls(plane.port, options);
    let session: Buffer | undefined;
    first.on("session", (each) => {
      session = each;
    });
    first.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    await once(first, "data");
    await expect.poll(() => session).toBeDefined();
    first.destroy();
    const second = connectTls(plane.port, { ...options, session });
    second.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    expect(String(await once(second, "data"))).toMatch(/^HTTP\/1.1 200/);
    expect(second.isSessionReused()).toBe(true);
    second.destroy();
  }
});

test("of clients with a good certificate, only those with the right name are let in", async () => {
  const names = (san: string) => ({
    validationContextType: {
      case: "validationContext",
      value: { trustedCa: inline(authority.certificate), matchSubjectAltNames: [{ matchPattern: { case: "exact", value: san } }] },
    },
  });
  const chain = (name: string, san: string) => ({ names: [name], certificate: a, clientsOf: authority, common: names(san) });
  const plane = await served([chain("a.test", "client.test"), chain("b.test", "somebody.test")]);
  const good = { cert: client.certificate, key: client.key };
  expect(await askTls(plane.port, { servername: "a.test", ...good })).toMatchObject({ status: 200 });
  expect(await askTls(plane.port, { servername: "b.test", ...good })).toMatchObject({ status: "refused" });
});

const ads = { configSourceSpecifier: { case: "ads" as const, value: {} } };
const exactly = (value: string) => ({ matchPattern: { case: "exact" as const, value } });
const authoritySecret = (value: object) =>
  envoyResource(SecretSchema, "ca", { name: "ca", type: { case: "validationContext", value } } as never, []);

test("what is asked of clients is what the listener and its secret say together", async () => {
  const chain = (name: string, defaultValidationContext: object): TlsChain => ({
    names: [name],
    certificate: a,
    context: { requireClientCertificate: true },
    common: {
      validationContextType: {
        case: "combinedValidationContext",
        value: { defaultValidationContext, validationContextSdsSecretConfig: { name: "ca", sdsConfig: ads } },
      },
    },
  });
  const plane = await served([
    chain("empty.test", {}),
    chain("name.test", { matchSubjectAltNames: [exactly("client.test")] }),
    chain("authority.test", { trustedCa: inline(authority.certificate) }),
    chain("both.test", { trustedCa: inline(authority.certificate), matchSubjectAltNames: [exactly("client.test")] }),
  ]);
  const admin = made.signed("admin.test", authority);
  const impostor = made.selfSigned("admin.test");
  const who = { client, admin, impostor };
  /** Who is let in where. */
  const letIn = async () => {
    const found: Record<string, string[]> = {};
    for (const servername of ["empty.test", "name.test", "authority.test", "both.test"]) {
      found[servername] = [];
      for (const [each, { certificate: cert, key }] of Object.entries(who)) {
        const { status } = await askTls(plane.port, { servername, cert, key });
        if (status === 200) found[servername].push(each);
      }
    }
    return found;
  };
  plane.publish(authoritySecret({ trustedCa: inline(authority.certificate), matchSubjectAltNames: [exactly("admin.test")] }));
  expect(await letIn()).toEqual({
    "empty.test": ["admin"],
    "name.test": ["client", "admin"],
    "authority.test": ["admin"],
    "both.test": ["client", "admin"],
  });
  // A secret of names alone: the authority is the listener's, and where there is none the settings before stay, as in Envoy.
  plane.publish(authoritySecret({ matchSubjectAltNames: [exactly("admin.test")] }));
  expect(await letIn()).toMatchObject({ "authority.test": ["admin"], "both.test": ["client", "admin"], "empty.test": ["admin"] });
  plane.publish(authoritySecret({ trustedCa: inline(other.certificate) }));
  expect(await letIn()).toEqual({ "empty.test": [], "name.test": [], "authority.test": [], "both.test": [] });
});

test("names without an authority that vouches for them let nobody in", async () => {
  const names = { matchSubjectAltNames: [exactly("client.test")] };
  const plane = await served([
    { names: ["a.test"], certificate: a, common: { validationContextType: { case: "validationContext", value: names } } },
    {
      names: ["b.test"],
      certificate: a,
      context: { requireClientCertificate: true },
      common: { validationContextType: { case: "validationContextSdsSecretConfig", value: { name: "ca", sdsConfig: ads } } },
    },
  ]);
  plane.publish(authoritySecret(names));
  expect(messages(plane)).toEqual([expect.stringContaining("without an authority that vouches for them (trusted_ca); the filter chain")]);
  const forged = made.selfSigned("client.test");
  for (const servername of ["a.test", "b.test"])
    expect(await askTls(plane.port, { servername, cert: forged.certificate, key: forged.key })).toMatchObject({ status: "refused" });
});

test("a secret that asks for what is not looked at is refused; the one before serves on", async () => {
  const validation = { case: "validationContextSdsSecretConfig", value: { name: "ca", sdsConfig: ads } };
  const plane = await served([
    { certificate: a, context: { requireClientCertificate: true }, common: { validationContextType: validation } },
  ]);
  const trustedCa = inline(authority.certificate);
  const pinned = authoritySecret({ trustedCa, verifyCertificateHash: ["00".repeat(32)] });
  plane.publish(pinned);
  const good = { cert: client.certificate, key: client.key };
  expect(await askTls(plane.port, good)).toMatchObject({ status: "refused" });
  expect(messages(plane)).toEqual([expect.stringContaining("verify_certificate_hash")]);
  plane.publish(authoritySecret({ trustedCa }));
  expect(await askTls(plane.port, good)).toMatchObject({ status: 200 });
});

test("what would have protected a chain and is not executed costs the chain", async () => {
  const validation = { trustedCa: inline(authority.certificate), crl: inline("x") };
  const plane = await served([
    { names: ["a.test"], certificate: a, common: { validationContextType: { case: "validationContext", value: validation } } },
    { certificate: b },
  ]);
  expect(messages(plane)).toEqual([expect.stringContaining("validation_context.crl; the filter chain is not served")]);
  expect(await askTls(plane.port, { servername: "a.test" })).toMatchObject({ status: "refused" });
});

test("versions and cipher suites are the chain's own", async () => {
  const plane = await served([
    { names: ["new.test"], certificate: a, common: { tlsParams: { tlsMinimumProtocolVersion: 4 } } },
    {
      names: ["old.test"],
      certificate: a,
      common: { tlsParams: { tlsMaximumProtocolVersion: 3, cipherSuites: ["[ECDHE-ECDSA-AES256-GCM-SHA384|AES128-SHA]"] } },
    },
  ]);
  expect(plane.plane.unsupported()).toEqual([]);
  expect(await askTls(plane.port, { servername: "new.test", maxVersion: "TLSv1.2" })).toMatchObject({ status: "refused" });
  expect(await askTls(plane.port, { servername: "new.test" })).toMatchObject({ version: "TLSv1.3" });
  expect(await askTls(plane.port, { servername: "old.test" })).toMatchObject({ version: "TLSv1.2" });
  expect(await askTls(plane.port, { servername: "old.test", ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256" })).toMatchObject({
    status: "refused",
  });
});

test("a new certificate is for new connections; those that are open stay", async () => {
  const plane = await served([{ names: ["a.test"], certificate: a }]);
  const socket = connectTls(plane.port, { servername: "a.test" });
  await once(socket, "secureConnect");
  const ask = async () => {
    socket.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    return String(await once(socket, "data")).slice(0, 15);
  };
  expect(await ask()).toBe("HTTP/1.1 200 OK");
  plane.publish(resource([{ names: ["a.test", "b.test"], certificate: b }]));
  expect(await shown(plane.port, "a.test")).toBe("b.test");
  expect(await ask()).toBe("HTTP/1.1 200 OK");
  expect(shownBy(socket)).toBe("a.test");
  // A chain that asks more of its clients than this one was asked: it ends.
  plane.publish(resource([{ names: ["a.test"], certificate: b, clientsOf: authority }]));
  await once(socket, "close");
});

test("certificates and authorities come as secrets too, and change as those do", async () => {
  const ads = { configSourceSpecifier: { case: "ads" as const, value: {} } };
  const secret = (name: string, type: object) => envoyResource(SecretSchema, name, { name, type } as never, []);
  const pair = (name: string, { certificate, key }: KeyPair) =>
    secret(name, { case: "tlsCertificate", value: { certificateChain: inline(certificate), privateKey: inline(key) } });
  const common = {
    tlsCertificateSdsSecretConfigs: [{ name: "pair", sdsConfig: ads }],
    validationContextType: { case: "validationContextSdsSecretConfig", value: { name: "ca", sdsConfig: ads } },
  };
  const plane = await served([{ common, context: { requireClientCertificate: true } }]);
  const good = { cert: client.certificate, key: client.key };
  expect(plane.plane.unsupported()).toEqual([]);
  expect(await askTls(plane.port, good)).toMatchObject({ status: "refused" });
  plane.publish(pair("pair", a), secret("ca", { case: "validationContext", value: { trustedCa: inline(authority.certificate) } }));
  expect(await askTls(plane.port, good)).toMatchObject({ status: 200, shown: "a.test" });
  expect(await askTls(plane.port)).toMatchObject({ status: "refused" });
  plane.publish(pair("pair", b));
  expect(await askTls(plane.port, good)).toMatchObject({ status: 200, shown: "b.test" });
  plane.publish(pair("pair", { ...a, key: b.key }));
  expect(plane.plane.unsupported()).toMatchObject([{ reason: "EnvoyResourceUnreadable" }]);
  expect(await askTls(plane.port, good)).toMatchObject({ status: 200, shown: "b.test" });
});

test("certificates come from an SDS server of the user's own too, and until they do nobody is let in", async () => {
  const server = createXdsServer();
  const { port } = (await server.listen({ host: "127.0.0.1", port: 0 })) as { port: number };
  const target = { case: "googleGrpc" as const, value: { targetUri: `dns:///127.0.0.1:${port}`, statPrefix: "sds" } };
  const source = { apiType: 2, grpcServices: [{ targetSpecifier: target }] };
  const sdsConfig = { configSourceSpecifier: { case: "apiConfigSource" as const, value: source } };
  const plane = await served([{ common: { tlsCertificateSdsSecretConfigs: [{ name: "pair", sdsConfig }] } }]);
  expect(await askTls(plane.port)).toMatchObject({ status: "refused" });
  const value = { certificateChain: inline(a.certificate), privateKey: inline(a.key) };
  const pair = envoyResource(SecretSchema, "pair", { name: "pair", type: { case: "tlsCertificate", value } }, []);
  server.publish(testProxy, { upserts: [pair], removals: [] });
  server.ready();
  await expect.poll(() => askTls(plane.port)).toMatchObject({ status: 200, shown: "a.test" });
  expect(plane.plane.unsupported()).toEqual([]);
  await server[Symbol.asyncDispose]();
});

test("plain text and TLS share a listener when a chain asks for each", async () => {
  const plane = await served([
    { plain: true, match: { transportProtocol: "raw_buffer" } },
    { certificate: a, match: { transportProtocol: "tls" } },
  ]);
  expect(plane.plane.unsupported()).toEqual([]);
  expect((await rawRequest(plane.port, "GET / HTTP/1.1\r\nHost: a\r\n\r\n"))?.status).toBe(200);
  expect(await askTls(plane.port)).toMatchObject({ status: 200 });
});

test("clients behind a proxy on the same Unix socket are told apart", async () => {
  const path = join(made.folder, "proxied.sock");
  const message = tlsListener(0, [{ certificate: a, hcm: { useRemoteAddress: true } }]) as { listenerFilters: object[] };
  message.listenerFilters.unshift({ name: "proxy", configType: { case: "typedConfig", value: packAny(ProxyProtocolSchema, {}) } });
  Object.assign(message, { address: { address: { case: "pipe", value: { path } } } });
  const plane = await serve([
    staticCluster("up", [upstream.port]),
    routeConfig([allTo("up")]),
    envoyResource(ListenerSchema, "tls", message as never, []),
  ]);
  started.push(plane);
  expect(plane.plane.unsupported()).toEqual([]);
  const addresses = ["192.0.2.1", "192.0.2.2", "192.0.2.3"];
  const sockets = addresses.map((address) => {
    const socket = connect(path);
    socket.write(`PROXY TCP4 ${address} 192.0.2.9 1000 443\r\n`);
    return socket;
  });
  await Promise.all(sockets.map((socket) => once(socket, "connect")));
  // What all of them said first is here before the first begins with TLS.
  await delay(50);
  const told = await Promise.all(
    sockets.map(async (socket) => {
      const tls = connectOver({ socket, rejectUnauthorized: false, ALPNProtocols: ["http/1.1"] });
      tls.write("GET / HTTP/1.1\r\nHost: a\r\n\r\n");
      let text = "";
      for await (const data of tls) {
        text += String(data);
        const answer = parseRaw(text, false, false);
        if (answer !== undefined) return (JSON.parse(answer.body) as EchoRequest).headers.find(([name]) => name === "x-forwarded-for")?.[1];
      }
      return "closed";
    }),
  );
  expect(told).toEqual(addresses);
});

test("a ClientHello may come byte by byte; nonsense, silence and early ends leave nothing behind", bestOfThree, async () => {
  const plane = await served([{ names: ["a.test"], certificate: a }]);
  const tls = connectOver({ socket: trickled(plane.port), servername: "a.test", rejectUnauthorized: false });
  await once(tls, "secureConnect");
  expect(shownBy(tls)).toBe("a.test");
  tls.destroy();
  for (const bytes of ["\x16\x03\x01\xff\xff\x01\x00\xff\xff", "\x16\x03\x01\x00\x04\x01\x00\x00\x00", "\x16\x03", "\x00".repeat(99)]) {
    const socket = connect(plane.port, "127.0.0.1");
    socket.on("error", () => undefined);
    socket.end(bytes, "latin1");
    await once(socket, "close");
  }
  const silent = connect(plane.port, "127.0.0.1").on("error", () => undefined);
  await once(silent, "connect");
  await delay(20);
  const begun = performance.now();
  await plane.plane.drain(5_000);
  expect(performance.now() - begun).toBeLessThan(2_000);
});

test("drain lets a request over TLS finish", async () => {
  const plane = await served([{ certificate: a }]);
  const answers: (() => void)[] = [];
  upstream.answer = (_, socket) => {
    answers.push(() => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nlate"));
    return undefined;
  };
  const asked = askTls(plane.port);
  await expect.poll(() => answers.length).toBe(1);
  const drained = plane.plane.drain(5_000);
  for (const answer of answers) answer();
  expect(await asked).toMatchObject({ status: 200, body: "late" });
  await drained;
});

test("whatever the first bytes are, reading them does not throw", () => {
  let state = 1;
  const random = () => (state = (state * 48_271) % 0x7fffffff);
  for (let i = 0; i < 20_000; i++) {
    const bytes = Buffer.from(Array.from({ length: random() % 60 }, () => random() % 256));
    if (i % 2 === 0 && bytes.length > 6) bytes.set([22, 3, 1, 0, bytes.length - 5, 1, 0, 0].slice(0, bytes.length));
    expect(() => readHello(bytes)).not.toThrow();
  }
});

/** A connection that sends one byte at a time. */
function trickled(port: number): Duplex {
  const socket = connect({ port, host: "127.0.0.1", noDelay: true });
  const stream = new Duplex({
    read: () => undefined,
    write: (chunk: Buffer, _, done) => {
      const next = (at: number): void => {
        if (at >= chunk.length) done();
        else socket.write(chunk.subarray(at, at + 1), () => setImmediate(next, at + 1));
      };
      next(0);
    },
    destroy: (error, done) => {
      socket.destroy();
      done(error);
    },
  });
  socket.on("data", (data) => void stream.push(data));
  socket.on("error", () => undefined);
  return stream;
}
