// What a real API server does not do; with one, the reflector is tested in api.test.ts.
import { expect, test } from "vitest";
import type { KubeApi } from "./api.ts";
import { KubeError } from "./error.ts";
import type { ResourceType } from "./object.ts";
import { reflect } from "./reflector.ts";

const type: ResourceType = { group: "", version: "v1", plural: "configmaps", kind: "ConfigMap", isNamespaced: true };
const sink = { apply() {}, delete() {}, synced() {}, fault() {} };

test("a server that calls each new list expired is not asked in a tight loop; the first time, it is listed at once", async () => {
  const ended = new AbortController();
  const lists: number[] = [];
  const api = {
    async list() {
      lists.push(performance.now());
      if (lists.length === 6) ended.abort();
      return { items: [], resourceVersion: String(lists.length) };
    },
    // biome-ignore lint/correctness/useYield: it ends before there is anything
    async *watch() {
      throw new KubeError("expired", "too old", { status: 410, request: "watch configmaps" });
    },
  } as unknown as KubeApi;
  await reflect(api, type, sink, { signal: ended.signal, backoff: { firstMs: 200, mostMs: 200 } });
  const pauses = lists.slice(1).map((at, i) => at - (lists[i] as number));
  expect(Math.min(...pauses.slice(1))).toBeGreaterThan(95);
});
