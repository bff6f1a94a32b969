// What is encoded only when somebody asks (check, translate) is what is encoded at once (run).
import { expect, test } from "vitest";
import { builtins } from "../../src/builtins.ts";
import { Flow } from "../../src/flow/flow.ts";
import { apply, Folder } from "./folder.ts";
import { randomOf } from "./random.ts";
import { seenOf } from "./running.ts";

test("encoding later gives the same bytes and the same findings", () => {
  let sent = 0;
  for (let seed = 1; seed <= 10; seed++) {
    const random = randomOf(seed);
    const folder = new Folder();
    folder.fill();
    for (let i = 0; i < 40; i++) folder.edit(random);
    const changes = folder.take();
    const [now, later] = [new Flow(builtins), new Flow(builtins, { encodesLater: true })];
    for (const flow of [now, later]) flow.graph.batch(() => apply(flow, changes));
    sent += seenOf(now).filter((line) => line.startsWith("sent ")).length;
    expect(seenOf(later)).toEqual(seenOf(now));
  }
  expect(sent).toBeGreaterThan(20);
});
