import { afterAll, beforeAll, describe } from "vitest";
import { looseDefinitions } from "../../../test/servers/definitions.ts";
import { type RunningKubernetes, startKubernetes } from "../../../test/servers/kubernetes.ts";
import { findKubernetes } from "../../../test/servers/kubernetes-binaries.ts";
import { kubeApi } from "../../lib/kubernetes/api.ts";
import { sourceContract } from "../source.contract.ts";
import { kubernetesSource } from "./kubernetes.ts";

describe.skipIf(findKubernetes() === undefined)("against a real API server", () => {
  let kubernetes: RunningKubernetes;
  beforeAll(async () => {
    kubernetes = await startKubernetes();
    await kubernetes.apply(...looseDefinitions());
  });
  afterAll(() => kubernetes?.[Symbol.asyncDispose]());

  sourceContract("kubernetes", async () => {
    const api = await kubeApi({ kubeconfig: kubernetes.kubeconfigPath });
    return {
      source: kubernetesSource({ api, namespaces: ["contract"] }),
      async put(name, port) {
        const spec = { static: { hosts: [{ addr: "127.0.0.1", port }] } };
        await kubernetes.apply({ apiVersion: "gloo.solo.io/v1", kind: "Upstream", metadata: { name, namespace: "contract" }, spec });
      },
      remove: (name) => kubernetes.delete("upstreams.gloo.solo.io", "contract", name),
      async end() {
        for (const { metadata } of await kubernetes.list("upstreams.gloo.solo.io", "contract"))
          await kubernetes.delete("upstreams.gloo.solo.io", "contract", metadata.name);
        api[Symbol.dispose]();
      },
    };
  });
});
