// `headworks crds`, as a process.
import { loadAll } from "js-yaml";
import { expect, test } from "vitest";
import { crdManifests } from "../servers/chart.ts";
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
