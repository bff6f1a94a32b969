// Functions that a service tells of are found and can be called, through a real Envoy; what nobody asked to be discovered is not asked.
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, test } from "vitest";
import { ask, folder, object, proxies, run, until } from "./gateway.ts";

const document = {
  swagger: "2.0",
  info: { title: "pets", version: "1" },
  basePath: "/v1",
  paths: { "/pets/{id}": { get: { operationId: "findPet", parameters: [{ name: "id", in: "path", type: "string", required: true }] } } },
};

test.skipIf(!proxies.includes("envoy"))("an operation of a Swagger document becomes a route by its name", { timeout: 60_000 }, async () => {
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

test("an Upstream without the label is not asked", { timeout: 30_000 }, async () => {
  const asked: string[] = [];
  const server = createServer((request, response) => {
    asked.push(request.url ?? "");
    response.end("ok");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  using files = await folder();
  files.write("pets.yaml", object("Upstream", "pets", { static: { hosts: [{ addr: "127.0.0.1", port }] } }));
  await using _ = await run(files, "--proxy", "embedded");
  await new Promise((resolve) => setTimeout(resolve, 4_000));
  expect(asked).toEqual([]);
  server.close();
});
