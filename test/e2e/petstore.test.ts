// The demo, and examples/petstore on both data planes. In one file because both need the ports that the example names.
//
// The same 200 requests to `run examples/petstore` on the embedded data plane and on Envoy have the same answers.
import { request } from "node:http";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { findEnvoy } from "../servers/envoy.ts";
import { freePorts } from "../servers/ports.ts";
import { start } from "./headworks.ts";

const folder = join(import.meta.dirname, "../../examples/petstore");

interface Answer {
  readonly status: number | undefined;
  readonly headers: Readonly<Record<string, unknown>>;
  readonly body: string;
}

interface Question {
  readonly method: string;
  readonly path: string;
  readonly body?: string;
}

test.skipIf(findEnvoy() === undefined)(
  "200 requests have the same answers on both data planes",
  async () => {
    const embedded = await answersOf("embedded");
    const envoy = await answersOf("envoy");
    expect(embedded).toHaveLength(200);
    for (const [index, question] of questions().entries()) expect(embedded[index], JSON.stringify(question)).toEqual(envoy[index]);
  },
  60_000,
);

describe("demo", () => {
  test("a petstore behind a gateway, introduced in a few lines", async () => {
    const [adminPort] = await freePorts(1);
    await using running = start(["demo", "--admin", `${adminPort}`]);
    await running.said(/try {3}curl localhost:8080\/api\/pets/);
    expect(await (await fetch("http://127.0.0.1:8080/api/pets")).json()).toHaveLength(3);
    expect(await (await fetch("http://localhost:8080/shop/2")).json()).toMatchObject({ id: 2 });
    expect(await (await fetch("http://127.0.0.1:8080/hello")).text()).toBe("hello from the gateway\n");
    expect((await fetch("http://127.0.0.1:8080/pets", { redirect: "manual" })).headers.get("location")).toContain("/api/pets");
    running.process.kill("SIGTERM");
    expect((await running.ended).code).toBe(0);
  });
});

async function answersOf(proxy: string): Promise<Answer[]> {
  const [adminPort] = await freePorts(1);
  // A store of its own for each: some requests change what is in it.
  await using store = start(["petstore"]);
  await expect.poll(() => store.stdout(), { timeout: 10_000 }).toContain("/api/pets");
  await using gateway = start(["run", folder, "--proxy", proxy, "--admin", `${adminPort}`, "--log", "pretty"]);
  await gateway.said(/ ready {2}/);
  await expect
    .poll(
      () =>
        ask({ method: "GET", path: "/hello" }).then(
          (answer) => answer.status,
          () => 0,
        ),
      { timeout: 10_000 },
    )
    .toBe(200);
  const answers: Answer[] = [];
  for (const question of questions()) answers.push(await ask(question));
  gateway.process.kill("SIGTERM");
  await gateway.ended;
  return answers;
}

/** Every route, every way to miss one, bodies and methods. */
function questions(): Question[] {
  const paths = [
    "/api/pets",
    "/api/pets/1",
    "/api/pets/2?x=%20y",
    "/api/pets/99",
    "/api/petshop",
    "/shop",
    "/shop/2",
    "/shop/",
    "/pets",
    "/pets/1",
    "/hello",
    "/hello?a=b",
    "/",
    "/nothing",
    "/API/PETS",
    "/api/pets/../pets/1",
    "//api/pets",
    "/api/pets%2f1",
  ];
  const reads = ["GET", "HEAD", "DELETE", "OPTIONS", "PUT"].flatMap((method) => paths.map((path) => ({ method, path })));
  const writes = Array.from({ length: 40 }, (_, index) => ({
    method: "POST",
    path: index % 2 ? "/api/pets" : "/shop",
    body: bodyOf(index),
  }));
  const again = paths.map((path) => ({ method: "GET", path }));
  return Array.from({ length: 2 }, () => [...writes, ...reads, ...again])
    .flat()
    .slice(0, 200);
}

function bodyOf(index: number): string {
  return index % 5 === 0 ? "not a pet" : JSON.stringify({ name: `pet ${index}`, tag: "x".repeat(index * 50) });
}

/** Each on a connection of its own. What differs by nature, the time, is left out. */
function ask({ method, path, body }: Question): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: "127.0.0.1", port: 8080, method, path, agent: false }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (chunk: string) => {
        text += chunk;
      });
      answer.on("end", () => {
        const { date: _date, "x-envoy-upstream-service-time": _time, connection: _connection, ...headers } = answer.headers;
        // An answer to HEAD has no body to frame. Envoy says "chunked" of an empty one of its own all the same; we say its length.
        if (method === "HEAD") for (const framing of ["content-length", "transfer-encoding"]) delete headers[framing];
        resolve({ status: answer.statusCode, headers, body: text });
      });
    });
    asked.on("error", reject);
    asked.end(body);
  });
}
