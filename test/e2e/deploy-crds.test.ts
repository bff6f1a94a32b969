// `headworks crds`: what it prints as a process, and what it does to a cluster.
import { loadAll } from "js-yaml";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { crdManifests } from "../servers/chart.ts";
import { looseDefinitions } from "../servers/definitions.ts";
import { type RunningKubernetes, startKubernetes } from "../servers/kubernetes.ts";
import { hasKubernetes } from "./cluster.ts";
import { commandHere } from "./command-here.ts";
import { object, virtualService } from "./gateway.ts";
import { headworks } from "./headworks.ts";

const namesIn = (text: string) => (loadAll(text) as { metadata: { name: string } }[]).map(({ metadata }) => metadata.name);

test("it prints every definition, as kubectl takes them", async () => {
  const { code, stdout, stderr } = await headworks(["crds"]);
  expect({ code, stderr }).toEqual({ code: 0, stderr: "" });
  const all = crdManifests().map((text) => JSON.parse(text));
  expect(loadAll(stdout)).toEqual(expect.arrayContaining(all));
  expect(namesIn(stdout).length).toBe(all.length);
});

test("it prints those that are asked for, by any of their names", async () => {
  const { stdout } = await headworks(["crds", "vs", "Upstream", "httpgateways"]);
  expect(namesIn(stdout)).toEqual(["virtualservices.gateway.solo.io", "upstreams.gloo.solo.io", "httpgateways.gateway.solo.io"]);
});

test("a kind that is none, or that Kubernetes has itself, is an error that says which there are", async () => {
  const unknown = await headworks(["crds", "ingress"]);
  expect(unknown.code).toBe(2);
  expect(unknown.stderr).toMatch(/there is no kind "ingress"\nThere are authconfigs, gateways, /);
  expect((await headworks(["crds", "secret"])).stderr).toContain("Secret has no definition");
});

describe.skipIf(!hasKubernetes)("the definitions of a cluster", () => {
  let kubernetes: RunningKubernetes;
  beforeAll(async () => {
    kubernetes = await startKubernetes({ users: [{ name: "nobody", token: "nobody-token" }] });
  });
  afterAll(() => kubernetes?.[Symbol.asyncDispose]());
  const crds = (line: string, kubeconfig = kubernetes.kubeconfigPath) =>
    commandHere(["crds", ...line.split(" "), "--kubeconfig", kubeconfig]);
  const stored = (name: string) => kubernetes.get("customresourcedefinitions.apiextensions.k8s.io", "", name);

  test("are installed, and then as they should be", async () => {
    expect(await crds("diff ug rlc")).toMatchObject({
      code: 1,
      stdout: "upstreamgroups.gloo.solo.io is not installed\nratelimitconfigs.ratelimit.solo.io is not installed\n",
    });
    expect(await crds("apply ug rlc --dry-run")).toMatchObject({
      code: 0,
      stderr: "would be installed: upstreamgroups.gloo.solo.io\nwould be installed: ratelimitconfigs.ratelimit.solo.io\n",
    });
    expect(await stored("upstreamgroups.gloo.solo.io")).toBeUndefined();
    expect((await crds("apply ug rlc")).stderr).toContain("installed: upstreamgroups.gloo.solo.io\n");
    // What it says is so at once.
    expect((await stored("upstreamgroups.gloo.solo.io"))?.status.conditions).toContainEqual(
      expect.objectContaining({ type: "Established", status: "True" }),
    );
    expect(await crds("apply ug rlc")).toMatchObject({ code: 0, stderr: expect.stringMatching(/^2 definitions are as in headworks /) });
    expect(await crds("diff ug rlc")).toMatchObject({
      code: 0,
      stdout: expect.stringContaining("upstreamgroups.gloo.solo.io is as in headworks"),
    });
  });

  test("are not changed where an object that is stored would not fit any more, none of them", async () => {
    await kubernetes.apply(...looseDefinitions({ hasStatus: false, only: ["VirtualService", "RouteTable"] }));
    const odd = (name: string) => object("RouteTable", name, { routes: "none yet", weight: { is: "no number" } });
    await kubernetes.apply(virtualService("fine", "web"), ...Array.from({ length: 4 }, (_, i) => odd(`odd-${i}`)));
    const before = (await stored("virtualservices.gateway.solo.io"))?.metadata.resourceVersion;
    const differs = await crds("diff vs rt");
    expect(differs.code).toBe(1);
    expect(differs.stdout).toMatch(
      /^virtualservices\.gateway\.solo\.io differs:\n {2}short names and categories: .*\n {2}status becomes a subresource/,
    );
    expect(differs.stdout).toMatch(
      / {2}columns: Domains, .*Age; in the cluster none\n {2}fields that the cluster's definition has not: \d+, among them apiVersion/,
    );
    expect(differs.stdout).toContain(
      "  stored objects that do not fit any more:\n    gloo-system/odd-0: spec.routes is a string, and has to be an array\n",
    );
    expect(differs.stdout).toContain("    … and 3 more");
    const refused = await crds("apply vs rt");
    expect(refused).toMatchObject({
      code: 4,
      stderr: expect.stringContaining("nothing was applied: objects that are stored do not fit the definitions of routetables"),
    });
    expect((await stored("virtualservices.gateway.solo.io"))?.metadata.resourceVersion).toBe(before);
    for (let i = 0; i < 4; i++) await kubernetes.delete("routetables.gateway.solo.io", "gloo-system", `odd-${i}`);
    expect(await crds("apply vs rt")).toMatchObject({
      code: 0,
      stderr: "changed: virtualservices.gateway.solo.io\nchanged: routetables.gateway.solo.io\n",
    });
    expect(await crds("diff vs rt")).toMatchObject({ code: 0 });
    expect((await kubernetes.get("virtualservices.gateway.solo.io", "gloo-system", "fine"))?.spec).toEqual(
      virtualService("fine", "web").spec,
    );
  });

  test("who may not change them is told so", async () => {
    const { code, stderr } = await crds("diff vs", kubernetes.kubeconfig({ token: "nobody-token" }));
    expect(code).toBe(4);
    expect(stderr).toMatch(/you may not do this at .*cannot get resource "customresourcedefinitions"/);
  });
});
