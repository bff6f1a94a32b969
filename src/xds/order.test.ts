import { expect, test } from "vitest";
import { typeUrls } from "../model/envoy-resource.ts";
import { type Turn, turns } from "./order.ts";
import type { Phase } from "./subscription.ts";

const { cluster, endpoint, listener, route, secret } = typeUrls;

interface Fake extends Turn {
  work: Phase[];
  awaited: boolean;
  ahead: boolean;
}

function fake(typeUrl: string, work: Phase[], awaited = false, overdue = false, slow = overdue, ahead = false): Fake {
  const turn: Fake = {
    typeUrl,
    work,
    awaited,
    ahead,
    isFree: () => !turn.awaited || slow,
    isSlow: () => slow,
    hasWorkAhead: () => turn.ahead && turn.work.includes("make"),
    isAwaited: () => turn.awaited,
    isOverdue: () => overdue,
    hasWork: (phase) => turn.work.includes(phase),
    isLingering: () => false,
  };
  return turn;
}

/** What is sent until nothing more may be, when nobody acknowledges. */
function sent(all: readonly Fake[], owes = false): string[] {
  const log: string[] = [];
  for (const { turn, phase, isAhead } of turns(all, () => owes)) {
    turn.work = turn.work.filter((each) => each !== phase);
    turn.awaited = true;
    log.push(`${isAhead ? "ahead: " : ""}${phase} ${turn.typeUrl.split(".").at(-1)}`);
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
  expect(sent([fake(cluster, [], true, true), fake(route, ["make"])])).toEqual(["make RouteConfiguration"]);
});

test("secrets wait for nobody, and nobody for them", () => {
  expect(sent([fake(cluster, [], true), fake(secret, ["make"])])).toEqual(["make Secret"]);
  expect(sent([fake(secret, [], true), fake(route, ["make"])])).toEqual(["make RouteConfiguration"]);
});

const warming = (work: Phase[] = []) => fake(cluster, work, true, false, true);

test("ahead of clusters that take long goes what does not need them, and nothing is taken away", () => {
  const routes = fake(route, ["make"], false, false, false, true);
  expect(sent([warming(["make", "break"]), fake(listener, []), routes])).toEqual(["make Cluster", "ahead: make RouteConfiguration"]);
  expect(sent([warming(["break"]), fake(listener, []), fake(route, ["make"])])).toEqual([]);
});

test("ahead of clusters too, routes wait for a listener that has to wait: it may bring what protects them", () => {
  const routes = () => fake(route, ["make"], false, false, false, true);
  expect(sent([warming(), fake(listener, ["make"]), routes()])).toEqual([]);
  expect(sent([warming(), fake(listener, ["make"], false, false, false, true), routes()])).toEqual(["ahead: make Listener"]);
});

test("endpoints that take long hold up all", () => {
  expect(sent([warming(), fake(endpoint, [], true, false, true), fake(route, ["make"], false, false, false, true)])).toEqual([]);
});
