import { toJson } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { SecretSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/secret_pb.js";
import type { Spec } from "../model/resource.ts";
import { readText } from "./read-text.ts";

const b64 = (text: string) => Buffer.from(text).toString("base64");

function secret(body: string) {
  const { resources } = readText(
    `apiVersion: v1\nkind: Secret\nmetadata: {name: a, namespace: b, annotations: {${body.includes("#own") ? "resource_kind: '*v1.Secret'" : ""}}}\n${body}`,
    "f.yaml",
  );
  const [resource] = resources;
  return (
    resource && {
      json: resource.spec && toJson(SecretSchema, resource.spec as Spec<"Secret">),
      problems: resource.problems.map((each) => `${each.reason} ${each.path}`),
    }
  );
}

describe("a Kubernetes Secret becomes the kind of ours that fits first", () => {
  test.each([
    [
      "tls",
      `type: kubernetes.io/tls\ndata: {tls.crt: ${b64("C")}, tls.key: ${b64("K")}, ca.crt: ${b64("R")}, tls.ocsp-staple: ${b64("O")}}`,
      { tls: { certChain: "C", privateKey: "K", rootCa: "R", ocspStaple: b64("O") } },
    ],
    [
      "aws, whatever the type",
      `type: x\nstringData: {aws_access_key_id: A, aws_secret_access_key: S, aws_session_token: T}`,
      { aws: { accessKey: "A", secretKey: "S", sessionToken: "T" } },
    ],
    [
      "an API key",
      `type: extauth.solo.io/apikey\nstringData: {api-key: K, user: u1}`,
      { apiKey: { apiKey: "K", metadata: { user: "u1" } } },
    ],
    ["oauth", `type: extauth.solo.io/oauth\nstringData: {client-secret: K}`, { oauth: { clientSecret: "K" } }],
    [
      "credentials",
      `type: extauth.solo.io/accountcredentials\nstringData: {username: u, password: p}`,
      { credentials: { username: "u", password: "p" } },
    ],
    ["an encryption key", `type: gloo.solo.io.EncryptionKeySecret\nstringData: {key: k}`, { encryption: { key: "k" } }],
    ["headers", `type: gloo.solo.io/header\nstringData: {Authorization: x}`, { header: { headers: { Authorization: "x" } } }],
    ["headers, from any other Opaque one", `type: Opaque\ndata: {a: ${b64("1")}}`, { header: { headers: { a: "1" } } }],
    ["headers, when it has no type", `data: {a: ${b64("1")}}`, { header: { headers: { a: "1" } } }],
    ["our own YAML in it", `#own\ndata: {azure: ${b64("apiKeys:\n  f: k\n")}}`, { azure: { apiKeys: { f: "k" } } }],
  ])("%s", (_, body, json) => {
    expect(secret(body)).toEqual({ json, problems: [] });
  });

  test("stringData goes before data", () => {
    expect(secret(`data: {a: ${b64("old")}}\nstringData: {a: new}`)?.json).toEqual({ header: { headers: { a: "new" } } });
  });

  test.each([
    "type: kubernetes.io/service-account-token\nstringData: {token: x}",
    "type: Opaque",
    "type: helm.sh/release.v1\nstringData: {release: x}",
  ])("%j is skipped", (body) => {
    expect(secret(body)).toBeUndefined();
  });

  test("data that is no base64 is an error at its key", () => {
    expect(secret("type: kubernetes.io/tls\ndata: {tls.crt: '-----BEGIN'}")).toEqual({
      json: undefined,
      problems: ['BadBase64 data["tls.crt"]'],
    });
  });

  test("mistakes in our own YAML are errors at the key", () => {
    expect(secret(`#own\ndata: {azure: ${b64("apiKey: {}")}}`)?.problems).toEqual(["UnknownField azure.apiKey"]);
    expect(secret(`#own\ndata: {azure: ${b64("a: [")}}`)?.problems).toEqual(["BadKubeObject undefined"]);
  });
});

test("a ConfigMap becomes an Artifact, but not one that holds a leader's lease", () => {
  const configMap = (annotations: string) =>
    `apiVersion: v1\nkind: ConfigMap\nmetadata: {name: a, annotations: {${annotations}}}\ndata: {x: y1}\n`;
  expect(readText(configMap(""), "f").resources).toMatchObject([
    { kind: "Artifact", key: "Artifact default/a", spec: { data: { x: "y1" } } },
  ]);
  expect(readText(configMap("control-plane.alpha.kubernetes.io/leader: x"), "f").resources).toEqual([]);
});

test("Services and their like are kept as they are, without the envelope", () => {
  const text = `
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop, labels: {app: web}}
spec: {ports: [{port: 80, targetPort: http}], clusterIP: None}
status: {loadBalancer: {}}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-x, namespace: shop}
addressType: IPv4
endpoints: [{addresses: [10.0.0.1], conditions: {ready: true}}]
ports: [{port: 8080}]
---
apiVersion: v1
kind: Node
metadata: {name: n1}
spec: {podCIDR: 10.0.0.0/24}
`;
  expect(readText(text, "f").resources).toMatchObject([
    {
      key: "Service shop/web",
      labels: { app: "web" },
      problems: [],
      spec: { spec: { ports: [{ port: 80, targetPort: "http" }], clusterIP: "None" }, status: { loadBalancer: {} } },
    },
    {
      key: "EndpointSlice shop/web-x",
      problems: [],
      spec: { addressType: "IPv4", endpoints: [{ addresses: ["10.0.0.1"], conditions: { ready: true } }], ports: [{ port: 8080 }] },
    },
    { key: "Node /n1", problems: [], spec: { spec: { podCIDR: "10.0.0.0/24" } } },
  ]);
});
