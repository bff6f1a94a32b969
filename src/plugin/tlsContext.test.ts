import { readFileSync } from "node:fs";
import { join } from "node:path";
import { create, fromJson, type JsonObject, toJson } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { clusterTypes } from "../envoy/registry.ts";
import { CommonTlsContextSchema } from "../gen/envoy/envoy/extensions/transport_sockets/tls/v3/tls_pb.js";
import { SecretSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/secret_pb.js";
import { UpstreamSslConfigSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/ssl/ssl_pb.js";
import { refusalOf } from "../lib/testing/envoyValidate.ts";
import { worldOf } from "../lib/testing/world.ts";
import { Report } from "../model/problem.ts";
import { resourceKey } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";
import { commonTlsContext } from "./tlsContext.ts";
import { cipherSuites, curveNames, unknownCipher, unknownCurve } from "./tlsNames.ts";

const pem = (name: string) => readFileSync(join(import.meta.dirname, "testdata", name), "utf8");
const ref = { namespace: "shop", name: "till" };

function secret(tls: JsonObject): Resource<"Secret"> {
  return {
    kind: "Secret",
    key: resourceKey("Secret", ref),
    ref,
    labels: {},
    annotations: {},
    spec: fromJson(SecretSchema, { tls }),
    version: "1",
    problems: [],
    origin: { source: "memory" },
  };
}

function context(ssl: JsonObject, tls?: JsonObject, needsCertificate = false) {
  const report = new Report(undefined);
  const made = commonTlsContext(
    fromJson(UpstreamSslConfigSchema, ssl),
    { needsCertificate, path: "sslConfig" },
    worldOf(tls ? [secret(tls)] : []),
    report,
  );
  return {
    json: made && toJson(CommonTlsContextSchema, create(CommonTlsContextSchema, made), { registry: clusterTypes }),
    problems: report.problems.map(({ reason, path, message }) => `${reason} ${path}: ${message}`),
  };
}

const secretRef = { secretRef: ref };

test("a client that asks for TLS 1.3 at least may speak it", () => {
  const parameters = { minimumProtocolVersion: "TLSv1_3" };
  expect(context({ parameters }).json).toEqual({
    tlsParams: { tlsMinimumProtocolVersion: "TLSv1_3", tlsMaximumProtocolVersion: "TLSv1_3" },
  });
});

// The process of Envoy ends at such a list, and nobody can refuse anything any more.
test.each([
  [["h2", ""], "an ALPN protocol has at least one character; one of these is empty"],
  [["h2,,http/1.1"], "an ALPN protocol has at least one character; one of these is empty"],
  [["x".repeat(256)], `an ALPN protocol has at most 255 bytes; "${"x".repeat(20)}…" is longer`],
  [Array.from({ length: 300 }, (_, i) => `${i}`.padEnd(250, "x")), "ALPN protocols have at most 65535 bytes together; these have 75300"],
])("ALPN protocols that are no list are an error", (alpnProtocols, message) => {
  expect(context({ alpnProtocols })).toEqual({ problems: [`TlsAlpn sslConfig.alpnProtocols: ${message}`] });
});

describe("a TLS secret", () => {
  test("that is there and cannot be read is not looked for in vain", () => {
    const unread: Resource<"Secret"> = { ...secret({}), spec: undefined };
    const hints = [[unread], []].map((secrets) => {
      const report = new Report(undefined);
      const world = worldOf(secrets);
      commonTlsContext(fromJson(UpstreamSslConfigSchema, secretRef), { needsCertificate: false, path: "sslConfig" }, world, report);
      return report.problems.map(({ reason, hint }) => [reason, hint]);
    });
    expect(hints).toEqual([
      [["TlsSecretNotFound", expect.stringMatching(/^the Secret is there, and cannot be used as it is written/)]],
      [["TlsSecretNotFound", undefined]],
    ]);
  });

  test("is sent with its key, and Envoy takes it", () => {
    const { json, problems } = context(secretRef, { certChain: pem("till.crt"), privateKey: pem("till.key"), rootCa: pem("till.crt") });
    expect(problems).toEqual([]);
    expect(json).toMatchObject({ tlsCertificates: [{ privateKey: { inlineString: pem("till.key") } }] });
    expect(refusalOf([clusterWith(json)])).toBeUndefined();
  });

  test("loses what is not a certificate in its chain: Envoy would refuse the rest for it", () => {
    const chain = `-----BEGIN EC PARAMETERS-----\nBggqhkjOPQMBBw==\n-----END EC PARAMETERS-----\n${pem("till.crt")}`;
    const { json } = context(secretRef, { certChain: chain, privateKey: pem("till.key") });
    expect(json).toMatchObject({ tlsCertificates: [{ certificateChain: { inlineString: pem("till.crt") } }] });
  });

  test("of trusted certificates alone verifies and shows none of our own", () => {
    const { json } = context({ ...secretRef, verifySubjectAltName: ["till.shop.test"] }, { rootCa: pem("till.crt") });
    expect(json).toEqual({
      validationContext: { trustedCa: { inlineString: pem("till.crt") }, matchSubjectAltNames: [{ exact: "till.shop.test" }] },
    });
  });

  test("of trusted certificates alone is not enough for a server", () => {
    expect(context(secretRef, { rootCa: pem("till.crt") }, true).problems).toEqual([
      "TlsCertificateMissing sslConfig: no certificate information found",
    ]);
  });

  test("with oneWayTls: a client verifies and shows no certificate, a server shows one and asks for none", () => {
    const tls = { certChain: pem("till.crt"), privateKey: pem("till.key"), rootCa: pem("till.crt") };
    expect(Object.keys(context({ ...secretRef, oneWayTls: true }, tls).json as object)).toEqual(["validationContext"]);
    expect(Object.keys(context({ ...secretRef, oneWayTls: true }, tls, true).json as object)).toEqual(["tlsCertificates"]);
  });

  test.each([
    ["whose key is another's", { certChain: pem("till.crt"), privateKey: pem("other.key") }, "tls: private key does not match public key"],
    ["without a key", { certChain: pem("till.crt"), privateKey: "" }, "tls: failed to find any PEM data in key input"],
    [
      "with a broken certificate",
      { certChain: pem("till.crt").replace("MII", "AAA"), privateKey: pem("till.key") },
      "x509: malformed certificate",
    ],
    [
      "with a broken key",
      { certChain: pem("till.crt"), privateKey: pem("till.key").replace("MI", "AA") },
      "tls: failed to parse private key",
    ],
    ["that is empty", {}, "tls: failed to find any PEM data in certificate input"],
    ["with a broken root", { rootCa: "garbage" }, "tls: failed to find any PEM data in root CA input"],
  ])("%s is refused, in words that hold no key", (_, tls, fault) => {
    const { json, problems } = context(secretRef, tls);
    expect(json).toBeUndefined();
    expect(problems).toEqual([`TlsSecretInvalid sslConfig.secretRef: name:"till" namespace:"shop" is not a valid TLS secret: ${fault}`]);
  });
});

test("SDS is asked at its cluster, or at its address where no cluster is named", () => {
  const service = (sds: JsonObject) =>
    JSON.stringify(context({ sds: { validationContextName: "ca", ...sds } }).json).match(/"(?:envoy|google)Grpc":\{[^}]*\}/)?.[0];
  expect(service({ clusterName: "sds" })).toBe('"envoyGrpc":{"clusterName":"sds"}');
  expect(service({})).toBe('"envoyGrpc":{"clusterName":"gateway_proxy_sds"}');
  expect(service({ targetUri: "unix:/sds" })).toBe('"googleGrpc":{"targetUri":"unix:/sds","statPrefix":"ca"}');
});

test("certificate and key may be files on the proxy's machine", () => {
  const { json } = context({ sslFiles: { tlsCert: "/t/c.pem", tlsKey: "/t/k.pem" } });
  expect(json).toEqual({ tlsCertificates: [{ certificateChain: { filename: "/t/c.pem" }, privateKey: { filename: "/t/k.pem" } }] });
});

describe("names of ciphers and curves are those of Envoy:", () => {
  const more = ["ECDHE+AESGCM", "[AES128-SHA|AES256-SHA]", "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ALL"];
  test("it takes what we take", () => {
    const suites = [...cipherSuites, ...more];
    expect(unknownCipher(suites)).toBeUndefined();
    expect(unknownCurve(curveNames)).toBeUndefined();
    const clusters = [
      ...suites.map((suite) => clusterWith({ tlsParams: { cipherSuites: [suite] } }, suite)),
      ...curveNames.map((curve) => clusterWith({ tlsParams: { ecdhCurves: [curve] } }, curve)),
    ];
    expect(refusalOf(clusters)).toBeUndefined();
  });

  test("and refuses what we refuse", () => {
    for (const suite of ["NOPE", "TLS_AES_128_GCM_SHA256", "ECDHE-RSA-AES256-SHA384", "AES128-SHA256"]) {
      expect(unknownCipher([suite])).toBe(suite);
      expect(refusalOf([clusterWith({ tlsParams: { cipherSuites: [suite] } })]), suite).toBeDefined();
    }
    for (const curve of ["P-257", "P-224"]) {
      expect(unknownCurve([curve])).toBe(curve);
      expect(refusalOf([clusterWith({ tlsParams: { ecdhCurves: [curve] } })]), curve).toBeDefined();
    }
  });
});

function clusterWith(commonTlsContext: unknown, name = "c") {
  const type = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext";
  return {
    name,
    type: "STATIC",
    loadAssignment: { clusterName: "c", endpoints: [{ lbEndpoints: [{ endpoint: { address: { pipe: { path: "/s" } } } }] }] },
    transportSocket: { name: "envoy.transport_sockets.tls", typedConfig: { "@type": type, commonTlsContext } },
  };
}
