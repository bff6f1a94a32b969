// `headworks template test`, as a process.
import { expect, test } from "vitest";
import { folder, object, upstream } from "../e2e/gateway.ts";
import { start } from "../e2e/headworks.ts";

async function template(...args: string[]) {
  const { code, stdout, stderr } = await start(["template", "test", ...args]).ended;
  return { code, stdout, stderr };
}

test("a template is rendered on a sample", async () => {
  const sample = ["-d", '{"name": "Réx"}', "-H", "X-User: jo", "--path", "/a?b=c"];
  expect(await template('{{ upper(name) }} {{ header("x-user") }} {{ header(":path") }}', ...sample)).toMatchObject({
    code: 0,
    stdout: "RéX jo /a?b=c\n",
  });
});

test("what is wrong is shown in its place", async () => {
  const wrong = await template("a\n{{ upper( }}");
  expect(wrong).toMatchObject({ code: 1, stdout: "" });
  expect(wrong.stderr).toContain('✖ expected ) after the values of upper, got "}}" (at 2:11)\n  2 | {{ upper( }}\n    |           ^\n');
  const absent = await template("{{ nobody }}", "-d", "{}");
  expect(absent).toMatchObject({ code: 1, stdout: "" });
  expect(absent.stderr).toContain("✖ variable 'nobody' not found (at 1:4)\n  1 | {{ nobody }}\n    |    ^\n");
});

test("the transformations of a route are run, on request and response", async () => {
  using files = await folder();
  const text = (value: string) => ({ text: value });
  const transformations = {
    requestTransformation: {
      transformationTemplate: {
        headers: { ":method": text("PUT"), "x-name": text("{{ name }}") },
        dynamicMetadataValues: [{ key: "k", value: text("{{ name }}") }],
        body: text("{}"),
      },
    },
    responseTransformation: {
      transformationTemplate: { passthrough: {}, headers: { "x-was": text('{{ dynamic_metadata("k") }} {{ request_header("x-name") }}') } },
    },
  };
  const route = {
    matchers: [{ prefix: "/" }],
    routeAction: { single: { upstream: { name: "shop", namespace: "gloo-system" } } },
    options: { transformations },
  };
  files.write("shop.yaml", [
    upstream("shop", 1),
    object("VirtualService", "store", { virtualHost: { domains: ["store.test"], routes: [route] } }),
  ]);
  const args = ["-f", files.path, "--virtual-service", "store", "-d", '{"name": "Rex"}'];
  const shown = await template(...args, "--status", "201", "-o", "json");
  expect(shown.code).toBe(0);
  const { request, response } = JSON.parse(shown.stdout);
  expect(request).toMatchObject({
    body: "{}",
    headers: expect.arrayContaining([
      [":method", "PUT"],
      ["x-name", "Rex"],
    ]),
  });
  expect(response.headers).toEqual([
    [":status", "201"],
    ["x-was", "Rex Rex"],
  ]);
  const refused = await template("-f", files.path, "-d", "{}");
  expect(refused).toMatchObject({ code: 1, stdout: "the request is answered with 400\nbad request: variable 'name' not found (at 1:4)\n" });
  const unknown = await template("-f", files.path, "--virtual-service", "stor");
  expect(unknown).toMatchObject({ code: 2 });
  expect(unknown.stderr).toContain("Did you mean store?");
});
