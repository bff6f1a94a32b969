import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fromJson, type JsonObject } from "@bufbuild/protobuf";
import { afterAll, expect, test } from "vitest";
import { SettingsSchema } from "../../gen/gloo/gloo/projects/gloo/api/v1/settings_pb.js";
import { connectionOf } from "./connection.ts";

const folder = mkdtempSync(join(tmpdir(), "consul-connection-"));
afterAll(() => rmSync(folder, { recursive: true }));

const of = (consul: JsonObject, environment: Record<string, string> = {}) =>
  connectionOf(fromJson(SettingsSchema, { consul }).consul, environment);

test.each([
  ["nothing is written", {}, {}, "http://127.0.0.1:8500/"],
  ["an address without a scheme", { httpAddress: "consul:8500" }, {}, "http://consul:8500/"],
  ["the older field", { address: "consul:8500" }, {}, "http://consul:8500/"],
  ["a URL with a path", { httpAddress: "https://shop.test/consul" }, {}, "https://shop.test/consul/"],
  ["the environment", {}, { CONSUL_HTTP_ADDR: "10.0.0.1:8500" }, "http://10.0.0.1:8500/"],
  ["the environment, with TLS", {}, { CONSUL_HTTP_ADDR: "10.0.0.1:8501", CONSUL_HTTP_SSL: "true" }, "https://10.0.0.1:8501/"],
  ["the Settings before the environment", { httpAddress: "a:1" }, { CONSUL_HTTP_ADDR: "b:2" }, "http://a:1/"],
] as const)("where Consul is: %s", (_, consul, environment, expected) => {
  expect(of(consul, environment).base.href).toBe(expected);
});

test("a Unix socket", () => {
  expect(of({ httpAddress: "unix:///run/consul.sock" }).socketPath).toBe("/run/consul.sock");
});

test("tokens and passwords travel in headers", () => {
  const file = join(folder, "token");
  writeFileSync(file, "from-file\n");
  expect(of({ token: "t" }).headers).toEqual({ "x-consul-token": "t" });
  expect(of({}, { CONSUL_HTTP_TOKEN_FILE: file }).headers).toEqual({ "x-consul-token": "from-file" });
  expect(of({ username: "u", password: "p" }).headers).toEqual({ authorization: "Basic dTpw" });
});

test("a file of a CA means TLS; a file that is not there is named", () => {
  const file = join(folder, "ca.pem");
  writeFileSync(file, "PEM");
  const { base, tls } = of({ httpAddress: "consul:8501", caFile: file });
  expect([base.protocol, tls]).toEqual(["https:", { ca: ["PEM"], rejectUnauthorized: true }]);
  expect(() => of({ caFile: join(folder, "none.pem") })).toThrow("none.pem could not be read");
  expect(() => of({ httpAddress: "http://:::" })).toThrow("is no address");
});
