// The incremental flow comes to what the stages come to when they are called one after the other, for every recorded case.
import { join } from "node:path";
import type { JsonObject } from "@bufbuild/protobuf";
import { describe, expect, test } from "vitest";
import { corpusFolder, readCases } from "./cases.ts";
import { assembleCase, translateCase } from "./translate.ts";

const folder = corpusFolder(join(import.meta.dirname, "../.."));

/** The stages know nothing of namespaces that are not watched; the flow does not yet. */
const leftOut = new Set(["misc/watchnamespaces"]);

describe.skipIf(folder === undefined)("the flow", () => {
  test("equals the stages for the same input", async () => {
    for (const each of readCases(folder ?? "")) {
      if (leftOut.has(each.id)) continue;
      const [stages, flow] = [assembleCase(each), await translateCase(each)];
      for (const kind of ["clusters", "listeners", "routes"] as const)
        expect(byName(flow[kind]), `${each.id}: ${kind}`).toEqual(byName(stages[kind]));
      expect(states(flow.statuses), each.id).toEqual(states(stages.statuses));
    }
  });
});

function byName(list: readonly JsonObject[]): JsonObject[] {
  return [...list].sort((a, b) => (String(a.name) < String(b.name) ? -1 : 1));
}

function states(statuses: Readonly<Record<string, { readonly state: string }>>): Record<string, string> {
  return Object.fromEntries(Object.entries(statuses).map(([key, { state }]) => [key, state]));
}
