// The law of the flow: after any edits, what is served, said and sent is what the same configuration gives when it is read at once.
import { expect, test } from "vitest";
import type { Flow } from "../../src/flow/flow.ts";
import { allKinds } from "../../src/flow/inputs.ts";
import { problemsOfTrial } from "../../src/flow/trial.ts";
import type { Change } from "../../src/model/change.ts";
import { problem } from "../../src/model/problem.ts";
import type { ResourceKey } from "../../src/model/ref.ts";
import { apply, Folder } from "./folder.ts";
import { type Random, randomOf } from "./random.ts";
import { expectServable, fromScratch, heldBy, Running, seenOf, servedBy, shuffle } from "./running.ts";

const isLong = process.env.HEADWORKS_LONG === "1";
const edits = isLong ? 100_000 : 20_000;
const editsPerWorld = 250;
const seed = Number(process.env.HEADWORKS_SEED ?? (isLong ? 1_000_000 : 1));

test(`after ${edits} edits, incremental equals from scratch (HEADWORKS_SEED=${seed})`, { timeout: 1_200_000 }, () => {
  const reached = new Coverage();
  for (let made = 0, world = seed; made < edits; world++) made += walk(world, editsPerWorld, reached);
  reached.expectAll();
});

test(`the order of changes does not matter (HEADWORKS_SEED=${seed})`, () => {
  for (let round = 0; round < (isLong ? 100 : 15); round++) {
    const random = randomOf(seed + round);
    const folder = new Folder();
    folder.fill();
    for (let i = 0; i < 60; i++) folder.edit(random);
    const changes = [...folder.resources.values()].map((resource): Change => ({ kind: "apply", resource }));
    const seen = [1, 2, 3].map((batches) => {
      const { flow } = new Running();
      const order = shuffle([...changes], random);
      for (let i = 0; i < batches; i++)
        flow.graph.batch(() =>
          apply(
            flow,
            order.filter((_, at) => at % batches === i),
          ),
        );
      return seenOf(flow);
    });
    expect(seen[1]).toEqual(seen[0]);
    expect(seen[2]).toEqual(seen[0]);
  }
});

/** Random batches of edits on one world, each compared. Returns how many edits were made. */
function walk(seedOfWorld: number, count: number, reached: Coverage): number {
  const random = randomOf(seedOfWorld);
  const folder = new Folder();
  const running = new Running();
  folder.fill();
  running.batch((flow) => apply(flow, folder.take()));
  const past: Change[] = [];
  let made = 0;
  while (made < count) {
    if (past.length > 0 && random.chance(0.3)) tryOut(running.flow, past, random);
    const size = random.chance(0.4) ? 1 : random.below(20) + 1;
    const edited: string[] = [];
    running.batch((flow) => {
      for (let i = 0; i < size; i++) edited.push(random.chance(0.06) ? editOutside(running, random) : folder.edit(random));
      const changes = folder.take();
      past.push(...changes);
      apply(flow, changes);
    });
    made += size;
    const where = `seed ${seedOfWorld}, edit ${made}, last batch: ${edited.join(", ")}`;
    expectSame(heldBy(running.held), servedBy(running.flow), `sent, not held: ${where}`);
    // What went wrong stays wrong for a while; a short run looks at every second batch, and at the last one.
    if (!isLong && made < count && random.chance(0.5)) continue;
    expectSame(seenOf(running.flow), seenOf(fromScratch(running.flow, random)), `incremental, not from scratch: ${where}`);
    expectServable(running.flow, `Envoy would refuse: ${where}`);
    reached.note(running.flow);
  }
  return made;
}

/** What is only tried leaves no trace: the next comparison would show it. */
function tryOut(flow: Flow, past: readonly Change[], random: Random): void {
  const change = random.one(past);
  if (change.kind === "reset") return;
  const key = change.kind === "apply" ? change.resource.key : change.key;
  problemsOfTrial(flow, "files", random.chance(0.3) ? { kind: "delete", key } : change);
}

/** Lines that differ, with the seed that leads there. Comparing before printing: the matcher takes longer than the flow. */
function expectSame(actual: readonly string[], expected: readonly string[], where: string): void {
  if (actual.length === expected.length && actual.every((line, i) => line === expected[i])) return;
  const [had, has] = [new Set(actual), new Set(expected)];
  expect(
    actual.filter((line) => !has.has(line)),
    where,
  ).toEqual(expected.filter((line) => !had.has(line)));
  expect(actual, `${where} (order)`).toEqual(expected);
}

/** What comes from elsewhere than files. */
function editOutside({ flow, memory }: Running, random: Random): string {
  const keys = allKinds.flatMap((kind) => flow.inputs.given[kind].entries().map(([key]) => key as ResourceKey));
  const key = random.one(keys);
  const given = flow.given(key);
  if (given === undefined) return "nothing outside";
  switch (random.below(4)) {
    case 0:
    case 1: {
      const isCertain = random.chance(0.8);
      if (isCertain) memory.withdraw(key, given.version);
      flow.inputs.refused.set(key, { version: given.version, message: "refused", ...(!isCertain && { mayBe: "anybody" as const }) });
      return `refuse ${key}`;
    }
    case 2:
      flow.report(`reporter ${random.below(2)}`, random.chance(0.3) ? [] : [problem("warning", key, "RefusedByEnvoy", "noticed")]);
      return `report ${key}`;
    default: {
      const [upstream] = random.one(flow.inputs.given.Upstream.entries()) ?? [];
      if (upstream === undefined) return "nothing outside";
      if (random.chance(0.4)) flow.inputs.addresses.delete(upstream);
      else flow.inputs.addresses.set(upstream, [{ address: `10.3.0.${random.below(3) + 1}`, port: 80 }] as never);
      return `addresses ${upstream}`;
    }
  }
}

/** A law that was never put to the test proves nothing: what the worlds must have come to. */
class Coverage {
  readonly #seen = new Map<string, number>();

  note(flow: Flow): void {
    for (const kind of allKinds) {
      for (const [, judgement] of flow.judged[kind].entries()) {
        this.#count(`${kind} ${judgement.status?.state ?? (judgement.isGood ? "good" : "faulty")}`);
        if (judgement.keepsLastGood) this.#count("keeps its last good version");
        for (const { reason } of judgement.problems) this.#count(reason);
      }
    }
    this.#count(`${[...flow.proxies()].length} proxies`);
  }

  expectAll(): void {
    if (process.env.HEADWORKS_VERBOSE) console.table([...this.#seen].sort());
    const wanted = ["Accepted", "Warning", "Rejected"].flatMap((state) =>
      ["VirtualService", "RouteTable"].map((kind) => `${kind} ${state}`),
    );
    const all = [...wanted, "keeps its last good version", "DomainConflict", "RefusedByEnvoy", "0 proxies", "1 proxies", "2 proxies"];
    expect(all.filter((each) => !this.#seen.has(each))).toEqual([]);
  }

  #count(what: string): void {
    this.#seen.set(what, (this.#seen.get(what) ?? 0) + 1);
  }
}
