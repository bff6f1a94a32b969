// When the Upstreams that discovery finds are written, and when not.
import { pino } from "pino";
import { expect, test, vi } from "vitest";
import type { KubeApi } from "../lib/kubernetes/api.ts";
import { KubeError } from "../lib/kubernetes/error.ts";
import { type ResourceKey, resourceKey } from "../model/ref.ts";
import type { Resource } from "../model/resource.ts";
import { upstreamWriterOn } from "./kubernetes-api.ts";
import { ownershipLabel, ownershipValue } from "./kubernetes-plan.ts";
import { UpstreamWriting } from "./kubernetes-writer.ts";

const ref = { namespace: "gloo-system", name: "shop-web-80" };
const key: ResourceKey = resourceKey("Upstream", ref);
const labels = { [ownershipLabel]: ownershipValue };
const log = pino({ level: "silent" }) as never;

test("a deletion that is refused today, as something still leads there, is tried again", async () => {
  const ended = new AbortController();
  const remove = vi
    .fn<() => Promise<void>>()
    .mockRejectedValueOnce(new KubeError("invalid", "admission webhook denied the request", { status: 422, request: "delete" }))
    .mockResolvedValue();
  const writing = new UpstreamWriting({
    writer: { create: async () => {}, update: async () => {}, delete: remove },
    found: () => undefined,
    present: () => (remove.mock.settledResults[1] ? undefined : ({ key, ref, labels } as unknown as Resource<"Upstream">)),
    knowsServices: () => true,
    signal: ended.signal,
    log,
  });
  writing.touch([key]);
  await vi.waitFor(() => expect(remove).toHaveBeenCalledTimes(2), { timeout: 60_000 });
  ended.abort();
});

test("who leads no more writes nothing, whatever he has begun", async () => {
  const written: string[] = [];
  const leadership = { isLeader: true };
  const api = {
    create: async () => written.push("create"),
    patch: async () => written.push("patch"),
    delete: async () => written.push("delete"),
    get: async () => {
      leadership.isLeader = false;
      return { metadata: { ...ref, labels } };
    },
  } as unknown as KubeApi;
  const writer = upstreamWriterOn(api, leadership);
  const { signal } = new AbortController();
  await writer.update(ref, { spec: {} }, signal);
  await writer.delete(ref, signal);
  await writer.create({ metadata: { ...ref, labels }, spec: {} }, signal);
  expect(written).toEqual([]);
  leadership.isLeader = true;
  await writer.create({ metadata: { ...ref, labels }, spec: {} }, signal);
  expect(written).toEqual(["create"]);
});
