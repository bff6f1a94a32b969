import { expect, test } from "vitest";
import { Names } from "./names.ts";
import { eventually } from "./testing/eventually.ts";

/** Names that are looked up in a map; a name that is not in it cannot be. */
function start(zone: Map<string, readonly string[]>) {
  const ended = new AbortController();
  const told: string[] = [];
  const faults = new Map<string, string | undefined>();
  let lookups = 0;
  const names = new Names({
    async lookUp(name) {
      lookups++;
      const found = zone.get(name);
      if (found === undefined) throw new Error("not found");
      return found;
    },
    everyMs: () => 5,
    signal: ended.signal,
    onChange: (name, addresses) => told.push(`${name} ${addresses}`),
    onFault: (name, fault) => faults.set(name, fault?.message),
  });
  return { names, told, faults, lookups: () => lookups, [Symbol.dispose]: () => ended.abort() };
}

test("a change is told once, in whatever order the addresses come; an outage leaves them as they are", async () => {
  const zone = new Map<string, readonly string[]>([["a", ["2", "1", "2"]]]);
  using running = start(zone);
  running.names.want(new Set(["a"]));
  await eventually(() => running.told, ["a 1,2"]);
  zone.set("a", ["1", "2"]);
  const before = running.lookups();
  await eventually(() => running.lookups() > before + 2, true);
  expect(running.told).toEqual(["a 1,2"]);

  zone.delete("a");
  await eventually(() => running.faults.get("a"), "not found");
  expect(running.names.addressesOf("a")).toEqual(["1", "2"]);
  zone.set("a", ["3"]);
  await eventually(() => running.told, ["a 1,2", "a 3"]);
  expect(running.faults.get("a")).toBeUndefined();
});

test("a name that was never found is known to have no address; one that nobody wants any more is forgotten", async () => {
  using running = start(new Map([["a", ["1"]]]));
  expect(running.names.addressesOf("b")).toBeUndefined();
  running.names.want(new Set(["b"]));
  await eventually(() => running.told, ["b "]);
  running.names.want(new Set(["a"]));
  await eventually(() => running.told, ["b ", "a 1"]);
  expect(running.names.addressesOf("b")).toBeUndefined();
});
