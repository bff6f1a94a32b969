import { expect, test } from "vitest";
import { typeUrls } from "../model/envoy-resource.ts";
import { type Turn, turns } from "./order.ts";
import type { Phase } from "./subscription.ts";

const { cluster, endpoint, listener, route, secret } = typeUrls;

interface Fake extends Turn {
  work: Phase[];
  awaited: boolean;
}

function fake(typeUrl: string, work: Phase[], awaited = false, overdue = false): Fake {
  const turn: Fake = {
    typeUrl,
    work,
    awaited,
    isFree: () => !turn.awaited,
    isAwaited: () => turn.awaited,
    isOverdue: () => overdue,
    hasWork: (phase) => turn.work.includes(phase),
  };
  return turn;
}

/** What is sent until nothing more may be, when nobody acknowledges. */
function sent(all: readonly Fake[], owes = false): string[] {
  const log: string[] = [];
  for (const { turn, phase } of turns(all, () => owes)) {
    turn.work = turn.work.filter((each) => each !== phase);
    turn.awaited = true;
    log.push(`${phase} ${turn.typeUrl.split(".").at(-1)}`);
  }
  return log;
}

test("clusters and endpoints go together, the rest waits", () => {
  const all = [fake(route, ["make"]), fake(listener, ["make"]), fake(endpoint, ["make"]), fake(cluster, ["make", "break"])];
  expect(sent(all)).toEqual(["make Cluster", "make ClusterLoadAssignment"]);
});

test("with nothing new before them, routes go, and what is gone waits for them", () => {
  expect(sent([fake(cluster, ["break"]), fake(endpoint, ["break"]), fake(listener, []), fake(route, ["make"])])).toEqual([
    "make RouteConfiguration",
  ]);
});

test("when all is in force, clusters that are gone go, then their endpoints", () => {
  const [clusters, assignments] = [fake(cluster, ["break"]), fake(endpoint, ["break"])];
  expect(sent([clusters, assignments, fake(route, [])])).toEqual(["break Cluster"]);
  clusters.awaited = false;
  expect(sent([clusters, assignments, fake(route, [])])).toEqual(["break ClusterLoadAssignment"]);
});

test("endpoints that are owed hold listeners and routes", () => {
  expect(sent([fake(cluster, []), fake(listener, ["make"])], true)).toEqual([]);
});

test("who is overdue holds nobody", () => {
  expect(sent([fake(cluster, ["make"], true, true), fake(route, ["make"])])).toEqual(["make RouteConfiguration"]);
});

test("secrets wait for nobody, and nobody for them", () => {
  expect(sent([fake(cluster, [], true), fake(secret, ["make"])])).toEqual(["make Secret"]);
  expect(sent([fake(secret, [], true), fake(route, ["make"])])).toEqual(["make RouteConfiguration"]);
});
