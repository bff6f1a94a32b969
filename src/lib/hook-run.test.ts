import { afterEach, expect, test } from "vitest";
import { HookRun } from "./hook-run.ts";
import { eventually } from "./testing/eventually.ts";

const open: AbortController[] = [];
afterEach(() => {
  for (const each of open.splice(0)) each.abort();
});

/** A hook that notes what it is given and yields it; `onEnd` is awaited before it ends. */
function story(onEnd: () => Promise<void> = () => Promise.resolve(), graceMs = 60_000) {
  const ended = new AbortController();
  open.push(ended);
  const notes: string[] = [];
  const failures: string[] = [];
  let fault: Error | undefined;
  const run = new HookRun<string, string, string>({
    async *hook(lists) {
      notes.push("begun");
      try {
        for await (const list of lists) {
          if (fault) throw fault;
          yield list.join();
        }
      } finally {
        await onEnd();
        notes.push("ended");
      }
    },
    take: (result) => void notes.push(result),
    onFailure: (error) => void failures.push(String(error)),
    signal: ended.signal,
    graceMs,
  });
  const fail = (error: Error | undefined) => {
    fault = error;
  };
  return { run, notes, failures, ended, fail };
}

test("a hook runs while there is something, and is given what was set together at once", async () => {
  const { run, notes } = story();
  run.set("a", "a1");
  run.set("b", "b1");
  await eventually(() => notes, ["begun", "a1,b1"]);
  run.set("a", "a2");
  run.delete("b");
  await eventually(() => notes, ["begun", "a1,b1", "a2"]);
  expect([run.delete("b"), run.delete("a")]).toEqual([false, true]);
  await eventually(() => notes.at(-1), "ended");
  run.set("c", "c1");
  await eventually(() => notes.slice(-2), ["begun", "c1"]);
});

test("one run has ended before the next begins", async () => {
  const { promise, resolve } = Promise.withResolvers<void>();
  const { run, notes } = story(() => promise);
  run.restart();
  run.set("a", "a1");
  await eventually(() => notes, ["begun", "a1"]);
  run.restart();
  run.restart();
  await new Promise((later) => setTimeout(later, 20));
  expect(notes).toEqual(["begun", "a1"]);
  resolve();
  await eventually(() => notes, ["begun", "a1", "ended", "begun", "a1"]);
});

test("a hook that fails is called again; nothing is once all has ended", async () => {
  const { run, notes, failures, ended, fail } = story();
  fail(new Error("broken"));
  run.set("a", "a1");
  await eventually(() => failures, ["Error: broken"]);
  fail(undefined);
  await eventually(() => notes.at(-1), "a1");
  ended.abort();
  await run.end();
  const before = notes.length;
  run.restart();
  run.set("b", "b1");
  await run.end();
  expect(notes).toHaveLength(before);
  expect(notes.at(-1)).toBe("ended");
});

test("a hook that does not end when it is told to is left behind, which is said; the next begins", async () => {
  const stuck = Promise.withResolvers<void>();
  let isFirst = true;
  const { run, notes, failures } = story(async () => {
    if (isFirst) await stuck.promise;
  }, 50);
  run.set("a", "a1");
  await eventually(() => notes, ["begun", "a1"]);
  run.restart();
  await eventually(() => notes, ["begun", "a1", "begun", "a1"]);
  expect(failures).toEqual(["Error: the hook goes on 0.05 s after its signal was aborted; it is left behind"]);
  isFirst = false;
  stuck.resolve();
  run.set("a", "a2");
  await eventually(() => notes.at(-1), "a2");
  await run.end();
  expect(failures).toHaveLength(1);
});

test("nobody waits for ever for the end of a hook that does not end", async () => {
  const { run, notes, failures } = story(() => new Promise(() => {}), 50);
  run.set("a", "a1");
  await eventually(() => notes, ["begun", "a1"]);
  await run.end();
  expect(failures).toHaveLength(1);
});
