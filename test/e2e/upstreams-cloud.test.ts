// What services of clouds receive through a real Envoy. They cannot be had here: a server with TLS on loopback stands in for them, and the
// address in their clusters is changed on the way to Envoy; all else is what is sent.
import { createServer } from "node:https";
import type { AddressInfo } from "node:net";
import type { TLSSocket } from "node:tls";
import { create, fromBinary } from "@bufbuild/protobuf";
import { afterAll, beforeAll, expect, test } from "vitest";
import { certificates } from "../../src/dataplane/testing/certificates.ts";
import { envoyResource } from "../../src/envoy/encode.ts";
import { socketAddress } from "../../src/envoy/endpoint.ts";
import { Cluster_DiscoveryType, ClusterSchema } from "../../src/gen/envoy/envoy/config/cluster/v3/cluster_pb.js";
import { AddressSchema } from "../../src/gen/envoy/envoy/config/core/v3/address_pb.js";
import { type EnvoyResource, typeUrls } from "../../src/model/envoy-resource.ts";
import { until, withEnvoy } from "../conformance/xds/envoy.ts";
import { type Asked, ask, object } from "./gateway.ts";
import { type InProcess, inProcess } from "./in-process.ts";

interface Received {
  readonly sni: string;
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

withEnvoy("services of clouds", () => {
  let running: InProcess;
  const open = new AsyncDisposableStack();

  beforeAll(async () => {
    const port = await standIn(open);
    running = open.use(
      await inProcess({ objects: [...secrets, ...upstreams, ...functions, ...plain], rewrite: (resource) => readdressed(resource, port) }),
    );
    await until("they are there", async () => (await ask(running.port, "gcp.test"))?.status === 200);
  });
  afterAll(() => open.disposeAsync());

  const received = async (host: string, path = "/", asked: Asked = {}): Promise<Received> => {
    const answer = await ask(running.port, host, path, asked);
    expect(answer?.status).toBe(200);
    return JSON.parse(answer?.body ?? "");
  };

  test("azure: a function is called by its path and key, whatever path and query the request has", async () => {
    const query = "/price/of?item=3&code=mine&x=%23";
    expect(await received("price.test", query, { method: "POST", body: "what?" })).toMatchObject({
      sni: "shop-fns.azurewebsites.net",
      method: "POST",
      path: "/api/price?code=p%2F1%23%26%3D%3D",
      headers: { host: "shop-fns.azurewebsites.net" },
      body: "what?",
    });
    expect((await received("price.test", "/")).path).toBe("/api/price?code=p%2F1%23%26%3D%3D");
    expect((await received("admin.test", query)).path).toBe("/api/admin?code=m1");
    expect((await received("open.test", query)).path).toBe("/api/open");
    expect((await received("open.test", `/${"a".repeat(3000)}?${"b".repeat(3000)}`)).path).toBe("/api/open");
  });

  test("gcp: the service is asked by its name", async () => {
    const { sni, path, headers } = await received("gcp.test", "/a?b=c", { headers: { authorization: "Bearer of-the-client" } });
    expect({ sni, path, host: headers.host, authorization: headers.authorization }).toEqual({
      sni: "app-xyz.a.run.app",
      path: "/a?b=c",
      host: "app-xyz.a.run.app",
      authorization: "Bearer of-the-client",
    });
  });

  test.each([
    ["openai", "api.openai.com", "/v1/chat/completions", { authorization: "Bearer sk-1" }],
    ["mistral", "api.mistral.ai", "/v1/chat/completions", { authorization: "Bearer sk-1" }],
    ["anthropic", "api.anthropic.com", "/v1/messages", { "x-api-key": "sk-1", "anthropic-version": "2023-06-01" }],
    [
      "azureopenai",
      "mine.openai.azure.com",
      "/openai/deployments/gpt%204/chat/completions?api-version=2024-02-01",
      { "api-key": "50%-off" },
    ],
    ["gemini", "generativelanguage.googleapis.com", "/v1beta/models/gemini-1.5-flash:generateContent", { "x-goog-api-key": "sk-1" }],
    ["passthrough", "api.openai.com", "/v1/chat/completions", { authorization: "Bearer of-the-client" }],
  ])("ai: %s is asked at its path, with the token of the Upstream", async (name, host, path, headers) => {
    const got = await received(`${name}.test`, "/chat", { method: "POST", body: "{}", headers: { authorization: "Bearer of-the-client" } });
    expect(got).toMatchObject({ sni: host, method: "POST", path, headers: { host, ...headers }, body: "{}" });
  });

  test("all of it is taken", () => {
    expect(running.refusals).toEqual([]);
    expect(running.faults).toEqual([]);
  });
});

const namespace = "gloo-system";
const keys = { kind: "Secret", apiVersion: "v1", type: "Opaque" };
const secrets = [
  {
    ...keys,
    metadata: { name: "az-keys", namespace, annotations: { resource_kind: "*v1.Secret" } },
    stringData: { azure: "apiKeys: {_master: m1, price: 'p/1#&=='}" },
  },
  { ...keys, type: "gloo.solo.io/header", metadata: { name: "ai-key", namespace }, stringData: { Authorization: "sk-1" } },
];
const authToken = { secretRef: { name: "ai-key", namespace } };
const providers: Readonly<Record<string, object>> = {
  openai: { openai: { authToken } },
  mistral: { mistral: { authToken } },
  anthropic: { anthropic: { authToken } },
  azureopenai: {
    azureOpenai: { authToken: { inline: "50%-off" }, endpoint: "mine.openai.azure.com", deploymentName: "gpt 4", apiVersion: "2024-02-01" },
  },
  gemini: { gemini: { authToken, model: "gemini-1.5-flash", apiVersion: "v1beta" } },
  passthrough: { openai: { authToken: { passthrough: {} } } },
};
const upstreams = [
  object("Upstream", "az", {
    azure: {
      functionAppName: "shop-fns",
      secretRef: { name: "az-keys", namespace },
      functions: [
        { functionName: "price", authLevel: "Function" },
        { functionName: "admin", authLevel: "Admin" },
        { functionName: "open", authLevel: "Anonymous" },
      ],
    },
  }),
  object("Upstream", "gcp", { gcp: { host: "app-xyz.a.run.app", audience: "https://app-xyz.a.run.app" } }),
  ...Object.entries(providers).map(([name, ai]) => object("Upstream", name, { ai })),
];
const functions = ["price", "admin", "open"].map((functionName) => toDestination(functionName, "az", { azure: { functionName } }));
const plain = ["gcp", ...Object.keys(providers)].map((name) => toDestination(name, name));

/** All requests to `name.test`. */
function toDestination(name: string, to: string, destinationSpec?: object): object {
  const single = { upstream: { name: to, namespace }, ...(destinationSpec && { destinationSpec }) };
  return object("VirtualService", name, {
    virtualHost: { domains: [`${name}.test`], routes: [{ matchers: [{ prefix: "/" }], routeAction: { single } }] },
  });
}

/** Tells what it received; believed by nobody, and nobody asks. */
async function standIn(open: AsyncDisposableStack): Promise<number> {
  const made = open.use(certificates());
  const { certificate: cert, key } = made.selfSigned("stand-in.test");
  const server = createServer({ cert, key }, async (request, response) => {
    let body = "";
    for await (const chunk of request) body += chunk;
    const { servername } = request.socket as TLSSocket & { servername?: string };
    response.end(JSON.stringify({ sni: servername, method: request.method, path: request.url, headers: request.headers, body }));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  open.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  return (server.address() as AddressInfo).port;
}

function readdressed(resource: EnvoyResource, port: number): EnvoyResource {
  if (resource.typeUrl !== typeUrls.cluster) return resource;
  const cluster = fromBinary(ClusterSchema, resource.bytes);
  cluster.clusterDiscoveryType = { case: "type", value: Cluster_DiscoveryType.STATIC };
  for (const { lbEndpoints } of cluster.loadAssignment?.endpoints ?? []) {
    for (const { hostIdentifier } of lbEndpoints) {
      if (hostIdentifier.case === "endpoint") hostIdentifier.value.address = create(AddressSchema, socketAddress("127.0.0.1", port));
    }
  }
  return envoyResource(ClusterSchema, cluster.name, cluster, resource.owners);
}
