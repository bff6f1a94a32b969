// How Upstreams are spoken to, seen by servers that tell what they were told: TLS, HTTP/2, gRPC, the PROXY protocol, names and weights.
import { constants } from "node:crypto";
import { writeFileSync } from "node:fs";
import { createServer as createHttp2, createSecureServer } from "node:http2";
import { createServer as createHttps } from "node:https";
import { type AddressInfo, createServer as createNet, type Server } from "node:net";
import { join } from "node:path";
import type { TLSSocket } from "node:tls";
import { Client, credentials, Server as GrpcServer, Metadata, ServerCredentials } from "@grpc/grpc-js";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Certificates, certificates, type KeyPair } from "../../src/dataplane/testing/certificates.ts";
import { envoyResource } from "../../src/envoy/encode.ts";
import { SecretSchema } from "../../src/gen/envoy/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import { createXdsServer } from "../../src/xds/server.ts";
import { ask, backend, type Folder, folder, object, proxies, run, until, virtualService } from "./gateway.ts";
import type { Running } from "./headworks.ts";

describe.each(proxies)("through %s", (proxy) => {
  let made: Certificates;
  let files: Folder;
  let running: Running;
  let renew = () => {};
  const open = new AsyncDisposableStack();
  const row = (name: string, run: () => Promise<void>) => test(name, run, 20_000);

  beforeAll(async () => {
    made = open.use(certificates());
    files = open.use(await folder());
    const authority = made.selfSigned("authority.test");
    const [server, client] = [made.signed("web.test", authority), made.signed("gateway.test", authority)];
    const port = async (listening: Promise<Listening> | Listening) => open.use(await listening).port;
    const tls = await port(tlsServer(server, authority));
    const h2c = await port(h2cServer());
    const h2 = await port(h2Server(server));
    const grpc = await port(grpcServer());
    const proxied = await port(proxyProtocolServer());
    const [one, two] = [open.use(await backend("one")), open.use(await backend("two"))];
    const sds = await port(sdsServer(client, authority));
    const at = (port: number, more: object = {}) => ({ static: { hosts: [{ addr: "127.0.0.1", port }], ...more } });
    const mutual = { secretRef: { name: "mutual", namespace: "gloo-system" }, sni: "web.test", verifySubjectAltName: ["web.test"] };
    // The SNI of a host would win over that of the Upstream.
    const own = { autoSniRewrite: false };
    const upstreams: Record<string, object> = {
      mutual: { ...at(tls, own), sslConfig: mutual },
      oneway: { ...at(tls, own), sslConfig: { ...mutual, oneWayTls: true } },
      perhost: { static: { hosts: [{ addr: "127.0.0.1", port: tls, sniAddr: "host.test" }] }, sslConfig: {} },
      stranger: { ...at(tls, own), sslConfig: { ...mutual, secretRef: { name: "stranger", namespace: "gloo-system" } } },
      othername: { ...at(tls, own), sslConfig: { ...mutual, verifySubjectAltName: ["other.test"] } },
      sds: {
        ...at(tls, own),
        sslConfig: {
          sni: "web.test",
          sds: { targetUri: `127.0.0.1:${sds}`, certificatesSecretName: "client", validationContextName: "roots" },
        },
      },
      files: { ...at(tls, own), sslConfig: { sni: "web.test", sslFiles: filesOf(made.folder, client, authority) } },
      h2c: { ...at(h2c), useHttp2: true },
      h2: { ...at(h2, own), useHttp2: true, sslConfig: { ...mutual, alpnProtocols: ["h2"] } },
      grpc: { ...at(grpc), useHttp2: true },
      v1: { ...at(proxied), proxyProtocolVersion: "V1" },
      v2: { ...at(proxied), proxyProtocolVersion: "V2" },
      weighted: {
        static: {
          hosts: [
            { addr: "localhost", port: one.port, loadBalancingWeight: 3 },
            { addr: "localhost", port: two.port, loadBalancingWeight: 1 },
          ],
        },
      },
    };
    const stranger = secret("stranger", client, made.selfSigned("stranger.test"));
    files.write("secrets.yaml", [secret("mutual", client, authority), stranger]);
    renew = () => files.write("secrets.yaml", [secret("mutual", made.signed("renewed.test", authority), authority), stranger]);
    for (const [name, spec] of Object.entries(upstreams))
      files.write(`${name}.yaml`, [object("Upstream", name, spec), virtualService(name, name)]);
    running = open.use(await run(files, "--proxy", proxy));
    await until("requests are answered", async () => (await ask(files.port, "mutual.test"))?.status === 200);
  });
  afterAll(() => open.disposeAsync());

  const told = async (name: string) => {
    const answer = await ask(files.port, `${name}.test`, "/p");
    return answer?.status === 200 ? JSON.parse(answer.body) : answer?.status;
  };
  const untilTold = async (name: string, expected: object) => {
    await until(`${name} is answered`, async () => typeof (await told(name)) === "object");
    expect(await told(name)).toEqual(expected);
  };

  row("mutual TLS: each shows a certificate of the authority, and the name is the one of the settings", () =>
    untilTold("mutual", { sni: "web.test", client: "gateway.test", isAuthorized: true }),
  );
  row("one-way TLS: the server is verified, and no certificate is shown", () =>
    untilTold("oneway", { sni: "web.test", client: null, isAuthorized: false }),
  );
  row("a host has an SNI of its own", () => untilTold("perhost", { sni: "host.test", client: null, isAuthorized: false }));
  row("a server of another authority, or of another name, gets no request", async () => {
    expect(await told("stranger")).toBe(503);
    expect(await told("othername")).toBe(503);
  });
  row("mutual TLS with files of this machine", () => untilTold("files", { sni: "web.test", client: "gateway.test", isAuthorized: true }));
  row("mutual TLS by SDS", () => untilTold("sds", { sni: "web.test", client: "gateway.test", isAuthorized: true }));

  row("HTTP/2 with prior knowledge", () => untilTold("h2c", { version: "2.0", path: "/p", alpn: null }));
  row("HTTP/2 by ALPN", () => untilTold("h2", { version: "2.0", path: "/p", alpn: "h2" }));

  row("gRPC, unary", async () => {
    using client = grpcClient(files.port);
    expect(await client.unary("a")).toEqual({ answers: ["a!"], trailer: "t", code: 0 });
  });
  row("gRPC, a stream of answers", async () => {
    using client = grpcClient(files.port);
    expect(await client.streaming("a")).toEqual({ answers: ["a0", "a1", "a2"], trailer: "t", code: 0 });
  });

  row("the PROXY protocol tells who the client is", async () => {
    await untilTold("v1", { header: "V1", source: "127.0.0.1" });
    await untilTold("v2", { header: "V2", source: "127.0.0.1" });
  });

  row("hosts that are names, with weights", async () => {
    const found = new Set<string>();
    await until("both are found", async () => {
      const answer = await ask(files.port, "weighted.test");
      if (answer?.status === 200) found.add(answer.body.slice(0, 3));
      return found.size === 2;
    });
    const answers = await Promise.all(Array.from({ length: 200 }, () => ask(files.port, "weighted.test")));
    const ofOne = answers.filter((answer) => answer?.body.startsWith("one")).length;
    expect(answers.every((answer) => answer?.status === 200)).toBe(true);
    expect(ofOne).toBeGreaterThan(110);
    expect(ofOne).toBeLessThan(190);
  });

  row("a certificate that is renewed is shown to the next connection", async () => {
    renew();
    await until("it is shown", async () => (await told("mutual"))?.client === "renewed.test");
    expect(await told("mutual")).toEqual({ sni: "web.test", client: "renewed.test", isAuthorized: true });
  });

  test("nothing was said to be wrong", () => expect(running.stderr()).not.toMatch(/✖/));
});

const base64 = (text: string) => Buffer.from(text).toString("base64");

function secret(name: string, { certificate, key }: KeyPair, authority: KeyPair): object {
  const data = { "tls.crt": base64(certificate), "tls.key": base64(key), "ca.crt": base64(authority.certificate) };
  return { apiVersion: "v1", kind: "Secret", type: "kubernetes.io/tls", metadata: { name, namespace: "gloo-system" }, data };
}

function filesOf(folder: string, { certificate, key }: KeyPair, authority: KeyPair): object {
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text);
    return join(folder, name);
  };
  return {
    tlsCert: file("client.crt", certificate),
    tlsKey: file("client.key", key),
    rootCa: file("authority.crt", authority.certificate),
  };
}

interface Listening extends AsyncDisposable {
  readonly port: number;
}

async function listening(server: Server, end = () => {}): Promise<Listening> {
  const sockets = new Set<{ destroy(): void }>();
  for (const event of ["connection", "secureConnection"]) server.on(event, (socket) => sockets.add(socket));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    async [Symbol.asyncDispose]() {
      end();
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Tells the SNI, and which certificate it was shown; each request has a connection of its own, and each of them a whole handshake. */
function tlsServer({ certificate: cert, key }: KeyPair, { certificate: ca }: KeyPair): Promise<Listening> {
  const secureOptions = constants.SSL_OP_NO_TICKET;
  return listening(
    createHttps({ cert, key, ca, secureOptions, requestCert: true, rejectUnauthorized: false }, (request, response) => {
      const socket = request.socket as TLSSocket & { servername?: string };
      response.setHeader("connection", "close");
      response.end(
        JSON.stringify({
          sni: socket.servername,
          client: socket.getPeerCertificate().subject?.CN ?? null,
          isAuthorized: socket.authorized,
        }),
      );
    }),
  );
}

const h2cServer = () =>
  listening(
    createHttp2((request, response) => response.end(JSON.stringify({ version: request.httpVersion, path: request.url, alpn: null }))),
  );

function h2Server({ certificate: cert, key }: KeyPair): Promise<Listening> {
  return listening(
    createSecureServer({ cert, key, allowHTTP1: true }, (request, response) =>
      response.end(JSON.stringify({ version: request.httpVersion, path: request.url, alpn: (request.socket as TLSSocket).alpnProtocol })),
    ),
  );
}

/** Reads the header before the request, and tells what it says. */
function proxyProtocolServer(): Promise<Listening> {
  return listening(
    createNet((socket) => {
      socket.on("error", () => undefined);
      let header: object | undefined;
      socket.on("data", (data: Buffer) => {
        header ??= proxyHeader(data);
        const body = JSON.stringify(header ?? {});
        if (data.includes("\r\n\r\n")) socket.write(`HTTP/1.1 200 OK\r\ncontent-length: ${body.length}\r\n\r\n${body}`);
      });
    }),
  );
}

function proxyHeader(data: Buffer): object | undefined {
  const text = /^PROXY TCP4 (\S+) /.exec(data.toString("latin1"));
  if (text) return { header: "V1", source: text[1] };
  if (!data.subarray(0, 12).equals(Buffer.from("0d0a0d0a000d0a515549540a", "hex"))) return undefined;
  return { header: "V2", source: [...data.subarray(16, 20)].join(".") };
}

const asIs = (bytes: Buffer) => bytes;
const method = (path: string, responseStream: boolean) => ({
  path,
  requestStream: false,
  responseStream,
  requestSerialize: asIs,
  requestDeserialize: asIs,
  responseSerialize: asIs,
  responseDeserialize: asIs,
});
const [unaryPath, streamPath] = ["/test.Echo/One", "/test.Echo/Three"];

async function grpcServer(): Promise<Listening> {
  const server = new GrpcServer();
  const metadata = new Metadata();
  metadata.set("x-trailer", "t");
  server.addService({ One: method(unaryPath, false), Three: method(streamPath, true) }, {
    One: (call: { request: Buffer }, done: (error: null, answer: Buffer, trailer: unknown) => void) =>
      done(null, Buffer.from(`${call.request}!`), metadata),
    Three: (call: { request: Buffer; write(bytes: Buffer): void; end(trailer: unknown): void }) => {
      for (let i = 0; i < 3; i++) call.write(Buffer.from(`${call.request}${i}`));
      call.end(metadata);
    },
  } as never);
  const port = await new Promise<number>((resolve, reject) =>
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) => (error ? reject(error) : resolve(bound))),
  );
  return { port, [Symbol.asyncDispose]: async () => server.forceShutdown() };
}

function grpcClient(port: number) {
  const client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), { "grpc.default_authority": "grpc.test" });
  const deadline = () => ({ deadline: Date.now() + 10_000 });
  return {
    unary: (text: string) =>
      new Promise((resolve, reject) => {
        const answers: string[] = [];
        client
          .makeUnaryRequest(unaryPath, asIs, asIs, Buffer.from(text), deadline(), (error, answer) => {
            if (error) reject(error);
            else answers.push(`${answer}`);
          })
          .on("status", ({ code, metadata }) => resolve({ answers, trailer: metadata.get("x-trailer")[0], code }));
      }),
    streaming: (text: string) =>
      new Promise((resolve, reject) => {
        const answers: string[] = [];
        client
          .makeServerStreamRequest(streamPath, asIs, asIs, Buffer.from(text), deadline())
          .on("data", (bytes: Buffer) => answers.push(`${bytes}`))
          .on("error", reject)
          .on("status", ({ code, metadata }) => resolve({ answers, trailer: metadata.get("x-trailer")[0], code }));
      }),
    [Symbol.dispose]: () => client.close(),
  };
}

/** Serves the certificate of a client and what it trusts. */
async function sdsServer({ certificate, key }: KeyPair, authority: KeyPair): Promise<Listening> {
  const server = createXdsServer();
  const inline = (text: string) => ({ specifier: { case: "inlineString" as const, value: text } });
  const client = { case: "tlsCertificate" as const, value: { certificateChain: inline(certificate), privateKey: inline(key) } };
  const roots = { case: "validationContext" as const, value: { trustedCa: inline(authority.certificate) } };
  server.publish("gloo-system~gateway-proxy", {
    upserts: [
      envoyResource(SecretSchema, "client", { name: "client", type: client }, []),
      envoyResource(SecretSchema, "roots", { name: "roots", type: roots }, []),
    ],
    removals: [],
  });
  server.ready();
  const { port } = (await server.listen({ host: "127.0.0.1", port: 0 })) as { port: number };
  return { port, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}
