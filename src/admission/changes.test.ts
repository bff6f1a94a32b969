// What follows the webhook's objects, where the API says what no API says.
import { expect, test } from "vitest";
import type { KubeApi } from "../lib/kubernetes/api.ts";
import { Changes } from "./changes.ts";

test("an object that cannot be followed for a fault of ours is said in the log, and looked at every now and then", async () => {
  const said: string[] = [];
  const nothing = () => undefined;
  const log = { debug: nothing, info: nothing, warn: nothing, error: (_: object, message: string) => void said.push(message) };
  const api = { list: () => Promise.reject(new TypeError("no list")) } as unknown as KubeApi;
  const type = { group: "", version: "v1", plural: "secrets", kind: "Secret", isNamespaced: true };
  await using changes = new Changes(api, [{ type, namespace: "gloo-system", name: "webhook" }], log);
  await changes.next(20, AbortSignal.timeout(10_000));
  expect(said).toEqual(["changes of the webhook's objects are not heard of"]);
});
