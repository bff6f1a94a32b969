// Whatever is written into Gateways, VirtualServices, RouteTables and options of any kind: what is sent for it, a running Envoy takes;
// what is not sent, or not as it is written, is explained. There is no third outcome.
import type { DescMessage } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import type { Flavour } from "../../src/lib/testing/flavours.ts";
import { fieldsIn, type Rules } from "../../src/lib/testing/randomMessages.ts";
import { type WorldMaker, worldKinds, worldMaker } from "../../src/lib/testing/randomWorlds.ts";
import { kinds } from "../../src/model/resource.ts";
import { stat, withEnvoy } from "../conformance/xds/envoy.ts";
import { freePorts } from "../servers/ports.ts";
import { inProcess } from "./in-process.ts";
import { withSds } from "./nobodys-network.ts";
import { around, nobodys, type Outcome, plugins, settings, tryOut, warningsOf } from "./random-worlds.ts";

const isLong = process.env.HEADWORKS_LONG === "1";
const seed = Number(process.env.HEADWORKS_SEED ?? 7);
const together = 20;
/** So many times twenty worlds of each flavour. */
const pushes: Readonly<Record<Flavour, number>> = isLong ? { good: 250, wild: 150 } : { good: 10, wild: 6 };

withEnvoy("random worlds", () => {
  test.each(["good", "wild"] as const)(
    `%s ones: a running Envoy takes all that is sent; all else is explained (HEADWORKS_SEED=${seed})`,
    { timeout: isLong ? 3_600_000 : 120_000 },
    async (flavour) => {
      using shared = around();
      const maker = worldMaker(flavour, shared);
      const ports = await freePorts(together);
      await using running = await inProcess({
        objects: [...shared.objects, settings(0)],
        plugins,
        httpGateway: nobodys,
        bootstrap: (made) => withSds(made, shared.sdsCluster),
      });
      const tried = new Set<string>();
      let [served, rejected] = [0, 0];
      for (let push = 0; push < pushes[flavour]; push++) {
        const number = seed * 1000 + push;
        const worlds = maker.make(ports, number);
        for (const { kind, spec } of worlds.flatMap((world) => world.objects))
          for (const field of fieldsIn(kinds[kind].schema as DescMessage, spec)) tried.add(field);
        const outcome: Outcome = await tryOut(running, worlds, [...shared.objects, settings(push)]);
        expect(outcome.wrong, `push ${push} of HEADWORKS_SEED=${seed}`).toEqual([]);
        served += outcome.served;
        rejected += outcome.rejected;
      }
      for (const stats of ["cluster_manager.cds", "listener_manager.lds"])
        expect(await stat(running.envoy, `${stats}.update_rejected`), stats).toBe(0);
      expect(warningsOf(running.envoy.log())).toEqual([]);
      // Of five VirtualServices of a world, some are of no Gateway's kind, or are not selected.
      const worlds = pushes[flavour] * together;
      expect(served).toBeGreaterThan(flavour === "good" ? worlds * 3 : worlds / 2);
      if (flavour === "good") expect(rejected).toBeLessThan(worlds);
      else expect(rejected).toBeGreaterThan(worlds);
      if (isLong) expect(untried(maker, tried)).toEqual([]);
    },
  );
});

/** Fields that no world had, though the rules let them. */
function untried({ rules }: WorldMaker, tried: ReadonlySet<string>): string[] {
  const all = new Set<string>();
  for (const kind of worldKinds) addFields(kinds[kind].schema as DescMessage, rules, all, new Set());
  return [...all].filter((name) => !tried.has(name));
}

/** Not of messages that are made as a whole. */
function addFields(message: DescMessage, rules: Rules, names: Set<string>, seen: Set<string>): void {
  if (seen.has(message.typeName) || message.typeName.startsWith("google.protobuf.")) return;
  seen.add(message.typeName);
  for (const field of message.fields) {
    const name = `${message.typeName}.${field.name}`;
    if (rules.left.has(name)) continue;
    names.add(name);
    const inner = "message" in field ? field.message : undefined;
    if (inner && !rules.values[name] && !rules.values[inner.typeName]) addFields(inner, rules, names, seen);
  }
}
