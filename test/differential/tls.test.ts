// TLS towards clients, the embedded data plane against a real Envoy: the same chains, the same clients, the same outcome.

import type { ConnectionOptions } from "node:tls";
import type { MessageInitShape } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Certificates, certificates, type KeyPair } from "../../src/dataplane/testing/certificates.ts";
import { type EchoRequest, type RawUpstream, rawUpstream } from "../../src/dataplane/testing/raw.ts";
import { allTo, type HcmInit, staticCluster } from "../../src/dataplane/testing/resources.ts";
import { askTls, inline, type TlsChain, tlsListener } from "../../src/dataplane/testing/tls.ts";
import { envoyResource } from "../../src/envoy/encode.ts";
import { SecretSchema } from "../../src/gen/envoy/envoy/extensions/transport_sockets/tls/v3/secret_pb.js";
import { findEnvoy } from "../servers/envoy.ts";
import { type Planes, startListeners } from "./planes.ts";

const isRequired = process.env.HEADWORKS_REQUIRE_SERVERS === "1";
if (findEnvoy() === undefined && !isRequired) console.warn("SKIPPED: TLS against Envoy: no Envoy here (set ENVOY_BIN)");

/** What header values and access logs can say of a client's TLS. Not the suite: with TLS 1.3, the two libraries prefer different ones. */
const operators = [
  "REQUESTED_SERVER_NAME",
  "DOWNSTREAM_TLS_VERSION",
  "DOWNSTREAM_PEER_SUBJECT",
  "DOWNSTREAM_PEER_ISSUER",
  "DOWNSTREAM_PEER_SERIAL",
  "DOWNSTREAM_PEER_FINGERPRINT_256",
  "DOWNSTREAM_PEER_URI_SAN",
  "DOWNSTREAM_PEER_DNS_SAN",
];

describe.skipIf(findEnvoy() === undefined && !isRequired)("TLS in the embedded data plane and in Envoy", () => {
  let made: Certificates;
  let upstream: RawUpstream;
  let planes: Planes;
  let clients: Record<string, ConnectionOptions>;

  beforeAll(async () => {
    made = certificates();
    const [a, b, c, authority] = ["a.test", "b.test", "c.test", "authority.test"].map((name) => made.selfSigned(name)) as KeyPair[];
    const client = made.signed("client.test", authority as KeyPair);
    upstream = await rawUpstream("up");
    const trustedCa = inline((authority as KeyPair).certificate);
    const asksFor = (value: string) => ({
      matchTypedSubjectAltNames: [{ sanType: 2, matcher: { matchPattern: { case: "exact", value } } }],
    });
    /** Validation of clients, the other half of which is in a secret. */
    const halves = {
      "empty.half.test": {},
      "name.half.test": asksFor("client.test"),
      "authority.half.test": { trustedCa: inline((a as KeyPair).certificate) },
      "both.half.test": { trustedCa, ...asksFor("client.test") },
    };
    const value = { trustedCa, ...asksFor("admin.test") };
    const secret = envoyResource(
      SecretSchema,
      "half",
      { name: "half", type: { case: "validationContext", value } } as MessageInitShape<typeof SecretSchema>,
      [],
    );
    const admin = made.signed("admin.test", authority as KeyPair);
    const forged = made.selfSigned("admin.test");
    const hcm = (name: string): HcmInit => ({
      useRemoteAddress: true,
      routeSpecifier: {
        case: "routeConfig",
        value: {
          name,
          virtualHosts: [
            {
              ...allTo("up"),
              requestHeadersToAdd: [
                { header: { key: "x-chain", value: name } },
                ...operators.map((operator) => ({
                  header: { key: `x-${operator.toLowerCase().replaceAll("_", "-")}`, value: `%${operator}%` },
                })),
              ],
            },
            { name: "secret", domains: ["secret.test"], requireTls: 2, routes: allTo("up").routes },
          ] as never,
        },
      },
    });
    const chains: TlsChain[] = [
      { names: ["a.test"], certificate: a as KeyPair, hcm: hcm("exact") },
      { names: ["*.a.test", "b.test"], certificate: b as KeyPair, hcm: hcm("wildcard") },
      { names: ["mutual.test"], certificate: c as KeyPair, clientsOf: authority as KeyPair, hcm: hcm("mutual") },
      { names: ["asked.test"], certificate: c as KeyPair, clientsOf: authority as KeyPair, required: false, hcm: hcm("asked") },
      { names: ["new.test"], certificate: c as KeyPair, common: { tlsParams: { tlsMinimumProtocolVersion: 4 } }, hcm: hcm("new") },
      {
        names: ["suites.test"],
        certificate: c as KeyPair,
        common: { tlsParams: { tlsMaximumProtocolVersion: 3, cipherSuites: ["ECDHE-ECDSA-AES256-GCM-SHA384"] } },
        hcm: hcm("suites"),
      },
      ...Object.entries(halves).map(
        ([name, defaultValidationContext]): TlsChain => ({
          names: [name],
          certificate: c as KeyPair,
          context: { requireClientCertificate: true },
          common: {
            validationContextType: {
              case: "combinedValidationContext",
              value: { defaultValidationContext, validationContextSdsSecretConfig: { name: "half" } },
            },
          },
          hcm: hcm("half"),
        }),
      ),
      { names: ["silent.test"], certificate: c as KeyPair, common: { alpnProtocols: [] }, hcm: hcm("silent") },
    ];
    const open: TlsChain = { certificate: c as KeyPair, hcm: hcm("open") };
    const listeners = [
      (port: number) => tlsListener(port, chains),
      (port: number) => tlsListener(port, chains, { fallback: open }),
      (port: number) => tlsListener(port, [open]),
      (port: number) =>
        tlsListener(port, [
          { plain: true, hcm: hcm("plain") },
          { ...open, match: { transportProtocol: "tls" } },
        ]),
    ];
    planes = await startListeners(listeners, [staticCluster("up", [upstream.port])], [secret]);
    const good = { cert: client.certificate, key: client.key };
    const bad = { cert: (a as KeyPair).certificate, key: (a as KeyPair).key };
    const named = ["a.test", "A.Test", "x.a.test", "x.y.a.test", "b.test", "x.b.test", "silent.test", "unknown.test"];
    clients = {
      "no SNI": {},
      ...Object.fromEntries(named.map((servername) => [servername, { servername }])),
      "h2 and http/1.1": { servername: "a.test", ALPNProtocols: ["h3", "http/1.1"] },
      "no ALPN": { servername: "a.test", ALPNProtocols: [] },
      "TLS 1.1": { servername: "a.test", minVersion: "TLSv1.1", maxVersion: "TLSv1.1", ciphers: "DEFAULT:@SECLEVEL=0" },
      "TLS 1.2": { servername: "a.test", maxVersion: "TLSv1.2" },
      "TLS 1.2 to 1.3 only": { servername: "new.test", maxVersion: "TLSv1.2" },
      "TLS 1.3 to 1.3 only": { servername: "new.test" },
      "the suite": { servername: "suites.test" },
      "another suite": { servername: "suites.test", ciphers: "ECDHE-ECDSA-AES128-GCM-SHA256", maxVersion: "TLSv1.2" },
      "CBC where nothing is said": { servername: "a.test", ciphers: "ECDHE-ECDSA-AES128-SHA", maxVersion: "TLSv1.2" },
      ...Object.fromEntries(
        ["mutual.test", "asked.test"].flatMap((servername) =>
          (["TLSv1.2", "TLSv1.3"] as const).flatMap((maxVersion) => [
            [`${servername} ${maxVersion} without certificate`, { servername, maxVersion }],
            [`${servername} ${maxVersion} with a good one`, { servername, maxVersion, ...good }],
            [`${servername} ${maxVersion} with a bad one`, { servername, maxVersion, ...bad }],
          ]),
        ),
      ),
      ...Object.fromEntries(
        Object.keys(halves).flatMap((servername) =>
          Object.entries({ client, admin, forged, a: a as KeyPair }).map(([name, { certificate: cert, key }]) => [
            `${servername} as ${name}`,
            { servername, cert, key },
          ]),
        ),
      ),
    };
  });

  afterAll(async () => {
    await planes?.[Symbol.asyncDispose]();
    await upstream?.[Symbol.asyncDispose]();
    made?.[Symbol.dispose]();
  });

  /** What a client sees and what the upstream hears. */
  async function outcome(port: number, options: ConnectionOptions, host: string) {
    const { body, ...seen } = await askTls(port, options, `GET /p HTTP/1.1\r\nHost: ${host}\r\n\r\n`);
    if (!body.startsWith("{")) return { ...seen, body };
    const { headers } = JSON.parse(body) as EchoRequest;
    return { ...seen, headers: headers.filter(([name]) => /^x-(?:forwarded-proto|chain|requested|downstream)/.test(name)) };
  }

  test("agree on every client, listener and host", async () => {
    expect(planes.plane.unsupported()).toEqual([]);
    const found: string[] = [];
    const seen = new Set<string>();
    for (const [name, options] of Object.entries(clients)) {
      for (const [index, ports] of planes.ports.entries()) {
        for (const host of ["a.test", "other.test", "secret.test"]) {
          const envoy = JSON.stringify(await outcome(ports.envoy, options, host));
          const embedded = JSON.stringify(await outcome(ports.embedded, options, host));
          seen.add(envoy);
          if (envoy !== embedded) found.push(`${name} [${index}] ${host}\n  Envoy ${envoy}\n  embedded ${embedded}`);
        }
      }
    }
    expect(found).toEqual([]);
    // Not all the same, or nothing was compared.
    expect(seen.size).toBeGreaterThan(10);
  });

  test("differ on purpose where client and chain have no protocol in common: an alert (RFC 7301 §3.2), not a guess", async () => {
    const [ports] = planes.ports as [{ envoy: number; embedded: number }];
    const options = { servername: "a.test", ALPNProtocols: ["something"] };
    expect(await outcome(ports.envoy, options, "a.test")).toMatchObject({ status: 200, protocol: "" });
    expect(await outcome(ports.embedded, options, "a.test")).toMatchObject({ status: "refused" });
  });
});
