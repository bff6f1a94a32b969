// examples/petstore: the same requests, answered alike by Envoy and by the embedded data plane.
import { cpSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { expect, test } from "vitest";
import { startPetstore } from "../../src/cli/petstore.ts";
import { type Answer, type Asked, ask, folder, proxies, run, until } from "./gateway.ts";

test.skipIf(proxies.length < 2)("200 requests to examples/petstore get the same answers from both data planes", async () => {
  const asked = requests();
  expect(asked).toHaveLength(200);
  const [embedded = [], envoy = []] = [await answersOf("embedded", asked), await answersOf("envoy", asked)];
  const differences = asked.flatMap(([path, how], i) => {
    const [own, reference] = [comparable(embedded[i]), comparable(envoy[i])];
    if (isDeepStrictEqual(own, reference)) return [];
    return [{ asked: `${how.method ?? "GET"} ${path} ${JSON.stringify(how.headers ?? {})}`, embedded: own, envoy: reference }];
  });
  expect(differences).toEqual([]);
  expect(new Set(envoy.map((each) => each?.status)).size).toBeGreaterThanOrEqual(5);
});

/** In order, against a petstore of its own: some requests change it. */
async function answersOf(proxy: string, asked: readonly (readonly [string, Asked])[]): Promise<(Answer | undefined)[]> {
  await using store = await startPetstore("127.0.0.1", 0);
  using config = await folder();
  const example = join(import.meta.dirname, "../../examples/petstore");
  cpSync(example, join(config.path, "petstore"), { recursive: true });
  // Who tries the example on this machine has its port.
  const upstreams = readFileSync(join(example, "upstreams.yaml"), "utf8");
  expect(upstreams).toContain("port: 9090");
  config.write("petstore/upstreams.yaml", upstreams.replace("port: 9090", `port: ${new URL(store.url).port}`));
  await using _running = await run(config, "--proxy", proxy, "--xds", `unix:${config.path}/xds.sock`);
  await until("the gateway answers", async () => (await ask(config.port, "localhost", "/hello"))?.status === 200);
  const answers: (Answer | undefined)[] = [];
  for (const [path, how] of asked) answers.push(await ask(config.port, "localhost", path, how));
  return answers;
}

const ownOfEach = ["date", "x-envoy-upstream-service-time", "connection", "keep-alive", "transfer-encoding"];

function comparable(answer: Answer | undefined) {
  if (answer === undefined) return undefined;
  const headers = Object.fromEntries(Object.entries(answer.headers).filter(([name]) => !ownOfEach.includes(name)));
  // The location names the port of the gateway.
  if (typeof headers.location === "string") headers.location = headers.location.replace(/:\d+/, "");
  return { status: answer.status, body: answer.body, headers };
}

/** Every route of the example in every way, things it does not have, and what a client gets wrong. */
function requests(): (readonly [string, Asked])[] {
  const paths = [
    "/api/pets",
    "/api/pets/1",
    "/api/pets/2?x=1&y=%20",
    "/api/pets/99",
    "/api/petsx",
    "/shop",
    "/shop/2",
    "/shop/77",
    "/shopping",
    "/shop/",
    "/pets",
    "/pets?a=b",
    "/pets/",
    "/hello",
    "/hello?who",
    "/hello/",
    "/",
    "/nothing",
    "/API/pets",
    "/api//pets",
    "/api/./pets",
    "/api/%70ets",
    "/swagger.json",
    "/shop/%32",
    "/api/pets/0001",
  ];
  const ways: readonly Asked[] = [
    {},
    { method: "HEAD" },
    { method: "POST", body: '{"name": "Tom", "tag": "cat"}', headers: { "content-type": "application/json" } },
    { method: "POST", body: "not JSON" },
    { method: "DELETE" },
    { method: "OPTIONS", headers: { origin: "https://example.com", "access-control-request-method": "GET" } },
    { headers: { accept: "text/plain", "x-request-id": "fixed", "x-forwarded-for": "1.2.3.4" } },
    { method: "PUT", body: "x".repeat(5_000) },
  ];
  return paths.flatMap((path) => ways.map((way) => [path, way] as const));
}
