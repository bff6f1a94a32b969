import { generateKeyPairSync } from "node:crypto";
import { expect, test } from "vitest";
import { resourceOfBytes } from "../envoy/encode.ts";
import { bestOfThree, cpuMs } from "../lib/testing/bestOf.ts";
import { typeUrls } from "../model/envoy-resource.ts";
import { blamed, presentable } from "./refusal.ts";

const sent = ["one", "two", "one_two", "bad"].map((name) => resourceOfBytes(typeUrls.cluster, name, Buffer.from(name), []));
const names = (message: string) => blamed(sent, message).map(({ name }) => name);

test.each([
  ["Error adding/updating cluster(s) bad: malformed IP address: foo.bar", ["bad"]],
  ["Error adding/updating cluster(s) one: x, bad: y", ["one", "bad"]],
  ["Error adding/updating listener(s) one_two: cannot bind '0.0.0.0:80', two", ["one_two"]],
  ['Proto constraint validation failed (ClusterValidationError.LbPolicy: value must be …): name: "bad"\nlb_policy: 99', ["bad"]],
  ['cluster_name: "two" endpoints { name: "one" }', ["two"]],
  ["Invalid duration: Expected positive duration: seconds: -1", []],
  ["route: unknown cluster 'one'", []],
  ['Error adding/updating cluster(s) elsewhere: name: "other"', []],
  ["", []],
])("%j blames %j", (message, expected) => {
  expect(names(message)).toEqual(expected);
});

test("key material is cut out of what Envoy says, in every shape it dumps it", () => {
  const key = generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ type: "pkcs8", format: "pem" }) as string;
  const middle = key.split("\n")[5] as string;
  const shapes = [
    key,
    JSON.stringify(key),
    key.slice(0, 500),
    Buffer.from(key).toString("base64"),
    key.replaceAll("\n", ""),
    `private_key { inline_string: ${JSON.stringify(key)} }`,
    `inline_bytes: "${key.replaceAll("\n", "\\n")}"`,
    `name: "x" ${middle}`,
  ];
  for (const shape of shapes) {
    const shown = presentable(`Proto constraint validation failed: ${shape} and so on`);
    expect(shown).not.toContain(middle.slice(0, 30));
    expect(shown).not.toContain(Buffer.from(key).toString("base64").slice(100, 130));
    expect(shown).toContain("Proto constraint validation failed");
  }
});

test.each([
  ['password: "hunter2"', "hunter2"],
  ['client_secret { secret: "s3cr3t" }', "s3cr3t"],
  ['token: "short"', "short"],
])("%s does not show", (dump, secret) => {
  expect(presentable(`refused: ${dump}`)).not.toContain(secret);
});

test("names and reasons stay readable", () => {
  const message =
    "Error adding/updating cluster(s) a-service-with-quite-a-long-name-8080_a-namespace-with-a-long-name: malformed IP address: foo.bar. Consider setting resolver_name";
  expect(presentable(message)).toBe(message);
});

test("what Envoy varies on purpose is made equal, control characters go, length is bounded", () => {
  expect(presentable("a: goo.gle/debugstr  \nseconds:   -1\u001b[31m")).toBe(presentable("a: goo.gle/debugproto seconds: -1\u0007[31m"));
  expect(presentable("many words ".repeat(10_000)).length).toBeLessThan(2100);
});

test("a message built to be slow is not", bestOfThree, () => {
  const start = cpuMs();
  for (const hostile of ["-----BEGIN ".repeat(9000), 'token "\\'.repeat(12_000), "A".repeat(100_000), "name: ".repeat(16_000)]) {
    presentable(hostile);
    blamed(sent, hostile);
  }
  expect(cpuMs() - start).toBeLessThan(1000);
});
