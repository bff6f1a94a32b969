// A definition gets another version of the kind: the one that is stored, and then the only one that is served. For the long run.
import { expect, test } from "vitest";
import { looseDefinitions } from "../../../test/servers/definitions.ts";
import { startKubernetes } from "../../../test/servers/kubernetes.ts";
import { findKubernetes } from "../../../test/servers/kubernetes-binaries.ts";
import { kubeApi } from "../../lib/kubernetes/api.ts";
import { Follower } from "../testing/follower.ts";
import { kubernetesSource } from "./kubernetes.ts";

test.skipIf(findKubernetes() === undefined || process.env.HEADWORKS_LONG !== "1")(
  "objects stored in another version are read as before; when ours is not served any more, what was read stays",
  { timeout: 120_000 },
  async () => {
    await using kubernetes = await startKubernetes();
    const [definition] = looseDefinitions({ only: ["Upstream"] }) as [{ spec: { versions: [object] } }];
    const [version] = definition.spec.versions;
    const define = async (...versions: object[]) => {
      await kubernetes.apply({ ...definition, spec: { ...definition.spec, versions } });
      kubernetes.forget();
    };
    const two = { ...version, name: "v2", storage: true };
    const put = (i: number, label: string, of = "v1") =>
      kubernetes.apply({
        apiVersion: `gloo.solo.io/${of}`,
        kind: "Upstream",
        metadata: { namespace: "a", name: `u${i}`, labels: { now: label } },
        spec: { static: { hosts: [{ addr: "127.0.0.1", port: 80 }] } },
      });
    await define(version);
    for (let i = 0; i < 7; i++) await put(i, "first");
    using api = await kubeApi({ kubeconfig: kubernetes.kubeconfigPath });
    const follower = new Follower(kubernetesSource({ api, discoverEveryMs: 500 }));
    const labelOf = (i: number) => follower.resources.get(`Upstream a/u${i}`)?.labels.now;
    try {
      await follower.first;
      await define({ ...version, storage: false }, two);
      await put(0, "second", "v2");
      await follower.until(() => labelOf(0) === "second");
      await define({ ...version, storage: false, served: false }, two);
      await follower.until(() => follower.findings.some((each) => each.includes("KubernetesKindMissing")));
      expect(labelOf(6)).toBe("first");
      await define({ ...version, storage: false }, two);
      await put(1, "back", "v2");
      await follower.until(() => follower.findings.length === 0 && labelOf(1) === "back");
      expect(follower.batches.flatMap(({ changes }) => changes).filter(({ kind }) => kind === "delete")).toEqual([]);
    } finally {
      await follower.end();
    }
  },
);
