// The recorded cases of discovery and of Consul, live: a real Consul, services that tell of their functions, and the control plane that
// finds them. What comes of it is what Gloo made of it, or differs in what is said here and in test/corpus/differences.md.
import { join } from "node:path";
import type { JsonObject } from "@bufbuild/protobuf";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Case, corpusFolder, readCases } from "../corpus/cases.ts";
import { differences, type Expectation } from "../corpus/compare.ts";
import { Lab, type Need, needOf } from "../corpus/lab.ts";

const folder = corpusFolder(join(import.meta.dirname, "../.."));
const cases = folder === undefined ? [] : readCases(folder, ["consul/", "discovery/"]);
const isRequired = process.env.HEADWORKS_REQUIRE_SERVERS === "1";
if (folder === undefined) console.warn("SKIPPED: recorded cases of discovery; they are not there (HEADWORKS_CORPUS names their folder)");

let lab: Lab;
beforeAll(() => {
  lab = new Lab();
});
afterAll(() => lab[Symbol.asyncDispose]());

const till = "afterApply.upstreams.0.spec.static.serviceSpec";
const item = '{"name": "{{ raw_string(default(name, "")) }}","price": {{ default(price, "null") }}}';

/** What is another here: the place in the expectation, and what stands there instead. */
const otherwise: Readonly<Record<string, readonly (readonly [string, (theirs: unknown) => unknown])[]>> = {
  "consul/upstream-no-address": [["statuses.Upstream gloo-system/n.state", () => "Warning"]],
  "discovery/consul-uds-two": [["afterApply.upstreams", () => ["Till_A", "till-b"].map(consulUpstream)]],
  "discovery/fds-blacklist-unlabelled": [[`${till}.rest.transformations.addItem.body.text`, () => item]],
  "discovery/fds-swaggerinfo-url": [[`${till}.rest.transformations.addItem.body.text`, () => item]],
  "discovery/fds-grpc": [[`${till}.grpcJsonTranscoder.protoDescriptorBin`, firstHalf]],
  "discovery/fds-grpc-noh2": [[`${till}.grpcJsonTranscoder.protoDescriptorBin`, firstHalf]],
};

describe.skipIf(folder === undefined)("as Gloo has it", () => {
  test("there are cases of both sorts", () => {
    expect(of("Consul").length).toBeGreaterThan(10);
    expect(of("services").length).toBeGreaterThan(5);
  });

  for (const need of ["Consul", "services"] as const) {
    const why = new Lab().missing(need);
    if (why !== undefined && isRequired) throw new Error(why);
    if (why !== undefined) console.warn(`SKIPPED: recorded cases of discovery; ${why}`);
    const one = why === undefined ? test.concurrent : test.skip;
    one.each(of(need).map((each) => [each.id, each] as const))("%s", async (_, each) => {
      const wanted = withExpectation(each);
      expect(differences(wanted.expected, await lab.run(wanted))).toEqual([]);
    });
  }

  test("a service behind an Upstream that is not to be asked gets no request", async () => {
    await using own = new Lab();
    const run = (...names: string[]) => {
      const chosen = cases.filter(({ id }) => names.includes(id.replace("discovery/fds-", "")));
      expect(chosen.length).toBe(names.length);
      return Promise.all(chosen.map((each) => own.run(withExpectation(each))));
    };
    await run("disabled", "whitelist-unlabelled", "nothing");
    expect((await own.asked()).get(28090)).toEqual([]);
    expect((await own.asked()).get(28095)).toContain("/v2/swagger");
    await run("blacklist-unlabelled");
    expect((await own.asked()).get(28090)).toContain("/swagger.json");
  });
});

function of(need: Need): Case[] {
  return cases.filter((each) => needOf(each) === need);
}

/** What is expected here. Fails where there is nothing at the place of a difference: then it is another one. */
function withExpectation(each: Case): Case {
  const copy = structuredClone(each.expected) as unknown as JsonObject;
  for (const [path, change] of otherwise[each.id] ?? []) {
    const steps = path.split(".");
    const last = steps.pop() as string;
    const holder = steps.reduce<unknown>((at, step) => (at as Record<string, unknown> | undefined)?.[step], copy) as Record<
      string,
      unknown
    >;
    expect(holder, path).toHaveProperty([last]);
    expect(change(holder[last]), path).not.toEqual(holder[last]);
    holder[last] = change(holder[last]);
  }
  return { ...each, expected: copy as unknown as Expectation };
}

/** Gloo has the file once for each of its two services. */
function firstHalf(base64: unknown): string {
  const bytes = Buffer.from(String(base64), "base64");
  const [first, second] = [bytes.subarray(0, bytes.length / 2), bytes.subarray(bytes.length / 2)];
  expect(first.equals(second)).toBe(true);
  return first.toString("base64");
}

function consulUpstream(name: string): JsonObject {
  return {
    metadata: { name, namespace: "gloo-system", labels: { discovered_by: "consulplugin" } },
    spec: { consul: { serviceName: name, dataCenters: ["dc1"] } },
  };
}
