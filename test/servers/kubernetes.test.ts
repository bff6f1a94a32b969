// The API server of the tests does what its helpers promise, so that tests which fail are right.
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type RunningKubernetes, startKubernetes } from "./kubernetes.ts";
import { findKubernetes } from "./kubernetes-binaries.ts";

describe.skipIf(findKubernetes() === undefined)("a Kubernetes API for tests", () => {
  let kubernetes: RunningKubernetes;
  beforeAll(async () => {
    kubernetes = await startKubernetes({ users: [{ name: "reader", token: "reader-token" }] });
  });
  afterAll(() => kubernetes?.[Symbol.asyncDispose]());

  test("objects are applied, read, patched and deleted", async () => {
    await kubernetes.apply("{apiVersion: v1, kind: ConfigMap, metadata: {name: a, namespace: one}, data: {x: '1'}}");
    expect((await kubernetes.get("configmaps", "one", "a"))?.data).toEqual({ x: "1" });
    await kubernetes.patch("configmaps", "one", "a", { data: { y: "2" } });
    expect((await kubernetes.list("configmaps", "one")).map(({ data }) => data)).toEqual([{ x: "1", y: "2" }]);
    await kubernetes.delete("configmaps", "one", "a");
    expect(await kubernetes.get("configmaps", "one", "a")).toBeUndefined();
  });

  test("a kind can be used as soon as its definition is applied", async () => {
    const schema = { type: "object", "x-kubernetes-preserve-unknown-fields": true };
    await kubernetes.apply(
      {
        apiVersion: "apiextensions.k8s.io/v1",
        kind: "CustomResourceDefinition",
        metadata: { name: "things.example.com" },
        spec: {
          group: "example.com",
          scope: "Namespaced",
          names: { kind: "Thing", plural: "things", singular: "thing", listKind: "ThingList" },
          versions: [{ name: "v1", served: true, storage: true, schema: { openAPIV3Schema: schema } }],
        },
      },
      { apiVersion: "example.com/v1", kind: "Thing", metadata: { name: "a", namespace: "one" }, spec: { x: 1 } },
    );
    expect((await kubernetes.get("things.example.com", "one", "a"))?.spec).toEqual({ x: 1 });
  });

  test("roles hold: a user and a ServiceAccount may do what they are given, and their writes are in the audit log", async () => {
    const rule = { apiGroups: [""], resources: ["configmaps"], verbs: ["get", "create", "patch"] };
    await kubernetes.apply(
      { apiVersion: "rbac.authorization.k8s.io/v1", kind: "Role", metadata: { name: "r", namespace: "two" }, rules: [rule] },
      {
        apiVersion: "rbac.authorization.k8s.io/v1",
        kind: "RoleBinding",
        metadata: { name: "r", namespace: "two" },
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "r" },
        subjects: [{ kind: "ServiceAccount", name: "robot", namespace: "two" }],
      },
      { apiVersion: "v1", kind: "ServiceAccount", metadata: { name: "robot", namespace: "two" } },
    );
    const robot = kubernetes.as(await kubernetes.serviceAccountToken("two", "robot"));
    const path = "/api/v1/namespaces/two/configmaps";
    expect((await robot.request("POST", path, { metadata: { name: "mine" } })).status).toBe(201);
    expect((await robot.request("GET", path)).status).toBe(403);
    expect((await kubernetes.as("reader-token").request("GET", path)).status).toBe(403);
    await expect
      .poll(() => kubernetes.writes())
      .toEqual([
        { user: "system:serviceaccount:two:robot", verb: "create", resource: "configmaps", namespace: "two", name: "mine", status: 201 },
      ]);
  });

  test("it hangs, it crashes, it comes back with what it had, and with another certificate", async () => {
    kubernetes.apiServer.pause();
    // A process is stopped a moment after it was told so.
    const asked = () => kubernetes.request("GET", "/readyz", undefined, { timeoutMs: 300 }).then(() => "answered", String);
    await expect.poll(asked).toContain("nothing came");
    kubernetes.apiServer.resume();
    expect((await kubernetes.request("GET", "/readyz")).status).toBe(200);
    await kubernetes.apiServer.kill();
    await expect(kubernetes.request("GET", "/readyz")).rejects.toThrow();
    kubernetes.rotateCertificate();
    await kubernetes.apiServer.start();
    expect(await kubernetes.get("namespaces", "", "one")).toBeDefined();
    await kubernetes.etcd.compact();
    await kubernetes.etcd.kill();
    const create = (name: string) =>
      kubernetes.request("POST", "/api/v1/namespaces/one/configmaps", { metadata: { name } }, { timeoutMs: 1000 }).catch(() => undefined);
    expect((await create("lost"))?.status).not.toBe(201);
    await kubernetes.etcd.start();
    await expect.poll(async () => (await create("after"))?.status).toBe(201);
  });
});
