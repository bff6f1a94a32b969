// What every source must hold to, as tests: files, memory, Kubernetes and Consul run the same suite.
import { afterEach, describe, expect, test } from "vitest";
import type { Resource } from "../model/resource.ts";
import type { Source } from "../plugin/source.ts";
import { Follower } from "./testing/follower.ts";

/** One source and the outside world that it reads. */
export interface SourceWorld {
  readonly source: Source;
  /** Makes or changes `Upstream contract/<name>`, a `static` one with one host on this port. */
  put(name: string, port: number): Promise<void> | void;
  remove(name: string): Promise<void> | void;
  end(): Promise<void> | void;
}

export interface ContractOptions {
  /** Tests that this source cannot hold to, and why. */
  readonly skip?: Readonly<Record<string, string>>;
}

/** Runs the suite; `begin` makes a world in which nothing is yet. */
export function sourceContract(name: string, begin: () => Promise<SourceWorld> | SourceWorld, options: ContractOptions = {}): void {
  const fact = (title: string, run: (world: SourceWorld, follow: () => Follower) => Promise<void>) => {
    const skipped = options.skip?.[title];
    test.skipIf(skipped !== undefined)(skipped === undefined ? title : `${title} (${skipped})`, async () => {
      const world = await begin();
      const followers: Follower[] = [];
      ending = async () => {
        for (const follower of followers) await follower.end();
        await world.end();
      };
      await run(world, () => {
        const follower = new Follower(world.source);
        followers.push(follower);
        return follower;
      });
    });
  };
  let ending: (() => Promise<void>) | undefined;
  afterEach(async () => {
    await ending?.();
    ending = undefined;
  });

  describe(`the ${name} source holds to the contract`, () => {
    fact("nothing is there at first, and that is said", async (world, follow) => {
      const follower = follow();
      await follower.first;
      expect([...follower.resources.keys()]).toEqual([]);
      expect(follower.batches[0]?.changes.map((change) => change.kind)).toEqual(["reset"]);
      expect((await world.source.read()).changes).toEqual([{ kind: "reset", resources: [] }]);
    });

    fact("what is there at the start comes in the first batch, as a reset", async (world, follow) => {
      await world.put("a", 1);
      await world.put("b", 2);
      const follower = follow();
      await follower.first;
      expect([...follower.resources.keys()].sort()).toEqual(["Upstream contract/a", "Upstream contract/b"]);
      expect(portOf(follower.resources.get("Upstream contract/b"))).toBe(2);
    });

    fact("read says the same as the first batch of watch", async (world, follow) => {
      await world.put("a", 1);
      const follower = follow();
      await follower.first;
      const { changes } = await world.source.read();
      const [change] = changes;
      const resources = change?.kind === "reset" ? change.resources : [];
      expect(resources.map(({ key, version }) => [key, version])).toEqual(
        [...follower.resources.values()].map(({ key, version }) => [key, version]),
      );
    });

    fact("what is made, changed and removed is said", async (world, follow) => {
      const follower = follow();
      await follower.first;
      await world.put("a", 1);
      await follower.until(() => portOf(follower.resources.get("Upstream contract/a")) === 1);
      await world.put("a", 2);
      await follower.until(() => portOf(follower.resources.get("Upstream contract/a")) === 2);
      await world.remove("a");
      await follower.until(() => follower.resources.size === 0);
    });

    fact("resources are whole: key, ref, kind, version, origin", async (world) => {
      await world.put("a", 1);
      const [change] = (await world.source.read()).changes;
      const [resource] = change?.kind === "reset" ? change.resources : [];
      expect(resource).toMatchObject({
        kind: "Upstream",
        key: "Upstream contract/a",
        ref: { namespace: "contract", name: "a" },
        problems: [],
        origin: { source: world.source.name },
      });
      expect(resource?.version).toMatch(/./);
      expect(resource?.isStale ?? false).toBe(false);
    });

    fact("another content has another version, the same content the same", async (world, follow) => {
      const follower = follow();
      const version = () => follower.resources.get("Upstream contract/a")?.version;
      const port = () => portOf(follower.resources.get("Upstream contract/a"));
      await world.put("a", 1);
      await follower.until(() => port() === 1);
      const first = version();
      await world.put("a", 2);
      await follower.until(() => port() === 2);
      expect(version()).not.toBe(first);
      await world.put("a", 1);
      await follower.until(() => port() === 1);
      expect(version()).toBe(first);
    });

    fact("many changes at once end in the right state", async (world, follow) => {
      const follower = follow();
      await follower.first;
      for (let round = 0; round < 5; round++) for (let i = 0; i < 20; i++) await world.put(`u${i}`, round * 100 + i);
      for (let i = 0; i < 10; i++) await world.remove(`u${i}`);
      await follower.until(() => follower.resources.size === 10 && portOf(follower.resources.get("Upstream contract/u19")) === 419);
      expect([...follower.resources.values()].map(portOf).sort()).toEqual([410, 411, 412, 413, 414, 415, 416, 417, 418, 419]);
    });

    fact("aborting ends a watch that waits, and another one starts from all there is", async (world, follow) => {
      await world.put("a", 1);
      const first = follow();
      await first.first;
      await first.end();
      expect(first.hasEnded).toBe(true);
      await world.put("b", 2);
      const second = follow();
      await second.first;
      expect([...second.resources.keys()].sort()).toEqual(["Upstream contract/a", "Upstream contract/b"]);
    });

    fact("a watch that is aborted before it begins says nothing more and ends", async (world) => {
      const follower = new Follower(world.source, AbortSignal.abort());
      await follower.end();
      expect(follower.hasEnded).toBe(true);
    });
  });
}

function portOf(resource: Resource | undefined): number | undefined {
  const spec = (resource as Resource<"Upstream"> | undefined)?.spec;
  return spec?.upstreamType.case === "static" ? spec.upstreamType.value.hosts[0]?.port : undefined;
}
