import { createServer } from "node:net";
import { expect, test } from "vitest";
import { freePorts } from "../../../test/servers/ports.ts";
import type { ResourceChanges } from "../../model/envoy-resource.ts";
import { listener, routeConfig } from "../testing/resources.ts";
import { TakenPorts } from "./taken-ports.ts";

const nothing = { upserts: [], removals: [] };

test("a listener on a port of somebody else is refused and what is beside it is taken; ports of our own are no hindrance", async () => {
  const [taken, own] = (await freePorts(2)) as [number, number];
  const blocker = createServer();
  await new Promise<void>((resolve) => blocker.listen(taken, "127.0.0.1", resolve));
  const given: ResourceChanges[] = [];
  const ports = new TakenPorts({
    async apply(changes) {
      given.push(changes);
      return [];
    },
    check: async () => undefined,
  });
  const refused = await ports.apply({ ...nothing, upserts: [listener(taken, {}, "127.0.0.1", "a"), listener(own), routeConfig([])] });
  expect(refused).toMatchObject([{ name: "a", reason: `cannot bind '127.0.0.1:${taken}': Address already in use` }]);
  expect(given[0]?.upserts.map(({ name }) => name)).toEqual(["listener", "routes"]);
  expect(await ports.check(listener(taken, {}, "0.0.0.0", "b"))).toContain(`cannot bind '0.0.0.0:${taken}'`);
  expect(await ports.check(listener(own, {}, "203.0.113.7", "b"))).toBeUndefined();

  // In place of the taker, which listens there by now.
  await new Promise<void>((resolve) => blocker.close(() => resolve()));
  const ours = createServer();
  await new Promise<void>((resolve) => ours.listen(own, "127.0.0.1", resolve));
  expect(await ports.check(listener(own, {}, "0.0.0.0", "wider"))).toBeUndefined();
  await ports.apply({ upserts: [listener(taken, {}, "127.0.0.1", "a")], removals: [listener(own)] });
  expect(given[1]).toMatchObject({ upserts: [{ name: "a" }], removals: [{ name: "listener" }] });
  expect(await ports.check(listener(own, {}, "127.0.0.1", "again"))).toContain("cannot bind");
  await new Promise<void>((resolve) => ours.close(() => resolve()));
});
