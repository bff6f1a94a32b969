// Leader election against a real API server.
import { afterAll, beforeAll, describe, expect, test, vi } from "vitest";
import { type RunningKubernetes, startKubernetes } from "../../../test/servers/kubernetes.ts";
import { findKubernetes } from "../../../test/servers/kubernetes-binaries.ts";
import { type KubeApi, kubeApi } from "./api.ts";
import { Lease, type LeaseOptions } from "./lease.ts";

const patience = { timeout: 60_000, interval: 20 };

describe.skipIf(findKubernetes() === undefined)("a Lease", () => {
  let kubernetes: RunningKubernetes;
  const open: Disposable[] = [];
  beforeAll(async () => {
    kubernetes = await startKubernetes();
    await kubernetes.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: "gloo-system" } });
  });
  afterAll(async () => {
    for (const each of open) each[Symbol.dispose]();
    await kubernetes?.[Symbol.asyncDispose]();
  });

  const api = async (): Promise<KubeApi> => {
    const made = await kubeApi({ kubeconfig: kubernetes.kubeconfigPath });
    open.push(made);
    return made;
  };
  const replica = async (name: string, identity: string, options: Partial<LeaseOptions> = {}) =>
    new Lease(await api(), {
      namespace: "gloo-system",
      name,
      identity,
      durationMs: 3_000,
      renewWithinMs: 2_000,
      everyMs: 200,
      ...options,
    });
  const stored = async (name: string) => (await kubernetes.get("leases.coordination.k8s.io", "gloo-system", name))?.spec;

  test("one of two replicas leads; when it lets go, the other one does, without waiting for the lease to run out", async () => {
    const a = (await replica("handover", "a")).start();
    await vi.waitFor(() => expect(a.isLeader).toBe(true), patience);
    await using b = (await replica("handover", "b", { durationMs: 60_000 })).start();
    await new Promise((resolve) => setTimeout(resolve, 700));
    expect([a.isLeader, b.isLeader]).toEqual([true, false]);
    expect(await stored("handover")).toMatchObject({ holderIdentity: "a", leaseDurationSeconds: 3, leaseTransitions: 0 });
    await a[Symbol.asyncDispose]();
    expect(a.isLeader).toBe(false);
    await vi.waitFor(() => expect(b.isLeader).toBe(true), patience);
    expect(await stored("handover")).toMatchObject({ holderIdentity: "b", leaseTransitions: 1 });
  });

  test("a leader that was stopped leads no more when it wakes, before it has asked anybody", async () => {
    let slept = 0;
    const now = () => performance.now() + slept;
    await using stopped = (await replica("stopped", "a", { now, everyMs: 500 })).start();
    await vi.waitFor(() => expect(stopped.isLeader).toBe(true), patience);
    slept = 60_000;
    expect(stopped.isLeader).toBe(false);
    // Nobody has taken it meanwhile: it goes on.
    await vi.waitFor(() => expect(stopped.isLeader).toBe(true), patience);
  });

  test("without the API server there is no leader, and nothing ends; when it is back, there is one", async () => {
    const changes: string[] = [];
    const faults: boolean[] = [];
    const watched = (identity: string) => ({
      onChange: (isLeader: boolean) => changes.push(`${identity} ${isLeader}`),
      onFault: (error: unknown) => faults.push(error !== undefined),
    });
    await using a = (await replica("outage", "a", watched("a"))).start();
    await vi.waitFor(() => expect(a.isLeader).toBe(true), patience);
    await using b = (await replica("outage", "b", watched("b"))).start();
    kubernetes.apiServer.pause();
    try {
      await vi.waitFor(() => expect(a.isLeader).toBe(false), patience);
      expect(b.isLeader).toBe(false);
      await vi.waitFor(() => expect(changes).toEqual(["a true", "a false"]), patience);
      await vi.waitFor(() => expect(faults).toEqual([true, true]), patience);
    } finally {
      kubernetes.apiServer.resume();
    }
    await vi.waitFor(() => expect(a.isLeader !== b.isLeader).toBe(true), patience);
    await vi.waitFor(() => expect(faults.filter((each) => !each)).toHaveLength(2), patience);
    const writers = kubernetes.writes({ withAdmin: true }).filter(({ resource, name }) => resource === "leases" && name === "outage");
    expect(writers.length).toBeGreaterThan(1);
  });

  test("a fault of ours, or of who is told, is said and tried again like an outage", async () => {
    const faults: string[] = [];
    const real = await api();
    let asked = 0;
    const faulty: KubeApi = {
      ...real,
      async get(...call) {
        if (++asked === 1) throw new TypeError("a fault of ours");
        return real.get(...call);
      },
    };
    const onChange = () => {
      throw new Error("a deaf listener");
    };
    const onFault = (error: Error | undefined) => faults.push(error?.message ?? "over");
    const options = { namespace: "gloo-system", name: "faulty", identity: "a", everyMs: 100, onChange, onFault };
    await using lease = new Lease(faulty, options).start();
    await vi.waitFor(() => expect(lease.isLeader).toBe(true), patience);
    await vi.waitFor(() => expect(faults).toEqual(["a fault of ours", "over", "a deaf listener"]), patience);
  });
});
