// Functions that a service tells of are found and can be called, through a real Envoy. Who is not asked: src/discovery/functions.test.ts.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { startTill } from "../servers/till.ts";
import { ask, folder, object, proxies, run, until } from "./gateway.ts";

const document = {
  swagger: "2.0",
  info: { title: "pets", version: "1" },
  basePath: "/v1",
  paths: { "/pets/{id}": { get: { operationId: "findPet", parameters: [{ name: "id", in: "path", type: "string", required: true }] } } },
};

test.skipIf(!proxies.includes("envoy"))("an operation of a Swagger document becomes a route by its name", async () => {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? "");
    if (request.url === "/swagger.json") response.setHeader("content-type", "application/json").end(JSON.stringify(document));
    else response.end(`${request.method} ${request.url}`);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  using files = await folder();
  const pets = object("Upstream", "pets", { static: { hosts: [{ addr: "127.0.0.1", port }] } });
  const labelled = { ...pets, metadata: { ...pets.metadata, labels: { "discovery.solo.io/function_discovery": "enabled" } } };
  const rest = { functionName: "findPet", parameters: { path: "/find/{id}" } };
  const routes = [
    {
      matchers: [{ prefix: "/find" }],
      routeAction: { single: { upstream: { name: "pets", namespace: "gloo-system" }, destinationSpec: { rest } } },
    },
  ];
  files.write("pets.yaml", [labelled, object("VirtualService", "pets", { virtualHost: { domains: ["*"], routes } })]);
  await using _ = await run(files, "--proxy", "envoy");
  await until("the function is called", async () => (await ask(files.port, "any", "/find/7"))?.body === "GET /v1/pets/7", 20_000);
  expect(asked.filter((path) => path === "/swagger.json").length).toBeGreaterThan(0);
  server.closeAllConnections();
  server.close();
});

test.skipIf(!proxies.includes("envoy"))("methods that a gRPC server reflects are called with JSON", async () => {
  await using till = await startTill();
  using files = await folder();
  const hosts = [{ addr: "127.0.0.1", port: till.ports.get(28091) }];
  // What discovery finds, and that each method has a path.
  const begun = { grpcJsonTranscoder: { autoMapping: true } };
  const spec = object("Upstream", "till", { useHttp2: true, static: { hosts, serviceSpec: begun } });
  const labelled = { ...spec, metadata: { ...spec.metadata, labels: { "discovery.solo.io/function_discovery": "enabled" } } };
  const routes = [{ matchers: [{ prefix: "/" }], routeAction: { single: { upstream: { name: "till", namespace: "gloo-system" } } } }];
  files.write("till.yaml", [labelled, object("VirtualService", "till", { virtualHost: { domains: ["*"], routes } })]);
  await using _ = await run(files, "--proxy", "envoy");
  const call = () =>
    ask(files.port, "any", "/till.v1.Till/Get", { method: "POST", body: '{"id":"7"}', headers: { "content-type": "application/json" } });
  await until("the method is called", async () => (await call())?.body === '{"id":"7"}', 20_000);
});
