// An API server without its watch cache: each watch is one of etcd's own, there are no bookmarks, and what etcd has compacted away is gone
// in the middle of a stream.
import { setTimeout as delay } from "node:timers/promises";
import { expect, test } from "vitest";
import { looseDefinitions } from "../../../test/servers/definitions.ts";
import { startKubernetes } from "../../../test/servers/kubernetes.ts";
import { findKubernetes } from "../../../test/servers/kubernetes-binaries.ts";
import { startKubeProxy } from "../../../test/servers/kubernetes-proxy.ts";
import { kubeApi } from "../../lib/kubernetes/api.ts";
import { resourceKey } from "../../model/ref.ts";
import { Follower } from "../testing/follower.ts";
import { kubernetesSource } from "./kubernetes.ts";

const upstreams = "upstreams.gloo.solo.io";
const namespace = "edited";
const isLong = process.env.HEADWORKS_LONG === "1";
const edits = isLong ? 600 : 60;

test.skipIf(findKubernetes() === undefined)(
  `without a watch cache, ${edits} edits are seen in their order while streams are cut and revisions compacted`,
  { timeout: 240_000 },
  async () => {
    await using kubernetes = await startKubernetes({ apiServerArgs: ["--watch-cache=false"] });
    await kubernetes.apply(...looseDefinitions({ only: ["Upstream"] }));
    const upstream = (i: number, port: number) => ({
      apiVersion: "gloo.solo.io/v1",
      kind: "Upstream",
      metadata: { namespace, name: `u${i}` },
      spec: { static: { hosts: [{ addr: "127.0.0.1", port }] } },
    });
    // Most of them are never deleted: what is missing after an outage would be held back for a while otherwise.
    await kubernetes.apply(...Array.from({ length: 20 }, (_, i) => upstream(i, 80)));
    await using proxy = await startKubeProxy(kubernetes);
    using direct = await kubeApi({ kubeconfig: kubernetes.kubeconfigPath });
    using cut = await kubeApi({ kubeconfig: proxy.kubeconfigPath });
    const backoff = { firstMs: 20, mostMs: 200 };
    const followers = [direct, cut].map((api) => new Follower(kubernetesSource({ api, backoff, discoverEveryMs: 1000 })));
    try {
      await Promise.all(followers.map(({ first }) => first));
      proxy.behaviour = { cutAfterMs: 300 };
      /** Of each object, its versions in order; "" is a deletion. */
      const written = new Map<string, string[]>();
      for (let edit = 0; edit < edits; edit++) {
        const i = (edit * 7) % 9;
        const versions = written.get(`u${i}`) ?? [];
        written.set(`u${i}`, versions);
        if (edit % 5 === 4 && versions.at(-1) !== "") {
          await kubernetes.delete(upstreams, namespace, `u${i}`);
          versions.push("");
        } else {
          const [made] = await kubernetes.apply(upstream(i, 1000 + edit));
          versions.push(made?.metadata.resourceVersion as string);
        }
        if (edit % 20 === 14) {
          proxy.behaviour = { answer: () => ({ status: 503, body: "down" }) };
          proxy.cut();
        }
        if (edit % 20 === 19) {
          await kubernetes.etcd.compact();
          proxy.behaviour = { cutAfterMs: 300 };
        }
        if (isLong && edit === edits / 2) {
          await kubernetes.apiServer.kill();
          await kubernetes.apiServer.start();
        }
        await delay(20);
      }
      proxy.behaviour = {};
      const lists = proxy.requests.filter((each) => /upstreams\?limit/.test(each));
      expect(lists.length, "lists, because a revision was gone").toBeGreaterThan(1);
      for (const follower of followers) {
        const versionOf = (name: string) => {
          const { resourceVersion } = follower.resources.get(resourceKey("Upstream", { namespace, name }))?.origin ?? {};
          return resourceVersion ?? "";
        };
        await follower.until(() => written.entries().every(([name, versions]) => versionOf(name) === versions.at(-1)));
        for (const [name, versions] of written) {
          const seen = follower.batches.flatMap(({ changes }) =>
            changes.flatMap((change) => {
              if (change.kind === "apply" && change.resource.ref.name === name) return [change.resource.origin.resourceVersion ?? ""];
              return change.kind === "delete" && change.key === resourceKey("Upstream", { namespace, name }) ? [""] : [];
            }),
          );
          expect(isSubsequence(seen, versions), `${name}: saw ${seen} of ${versions}`).toBe(true);
        }
      }
    } finally {
      await Promise.all(followers.map((follower) => follower.end()));
    }
  },
);

/** In the same order, and nothing twice; what was between may be missing. */
function isSubsequence(part: readonly string[], whole: readonly string[]): boolean {
  let at = 0;
  return part.every((each) => {
    at = whole.indexOf(each, at) + 1;
    return at > 0;
  });
}
