// docs/guides/kubernetes.md, followed: its commands are run in their order by kubectl, Helm and openssl, against a real API server. What it
// cannot show here: images, Pods (no kubelet runs), and a Service that leads somewhere.
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { findHelm } from "../servers/helm.ts";
import { type RunningKubernetes, startKubernetes } from "../servers/kubernetes.ts";
import { freePorts } from "../servers/ports.ts";
import { hasKubernetes } from "./cluster.ts";
import { type Running, start } from "./headworks.ts";

const root = join(import.meta.dirname, "../..");
const guide = readFileSync(join(root, "docs/guides/kubernetes.md"), "utf8");

interface Block {
  readonly language: string;
  readonly text: string;
}

const blocks: readonly Block[] = [...guide.matchAll(/^```(\w+)\n(.*?)^```/gms)].map(([, language = "", text = ""]) => ({ language, text }));
const hasTools =
  hasKubernetes && findHelm() !== undefined && ["kubectl", "openssl"].every((name) => spawnSync(name, ["version"]).error === undefined);
if (!hasTools) console.warn("SKIPPED: following the guide takes kubectl, helm, openssl and a Kubernetes API.");

describe.skipIf(!hasTools || process.env.HEADWORKS_LONG !== "1")("the guide, followed", { timeout: 180_000 }, () => {
  let kubernetes: RunningKubernetes;
  let place: string;
  let running: Running | undefined;
  /** Those that were run, so that at the end none is left over. */
  const done = new Set<Block>();
  beforeAll(async () => {
    kubernetes = await startKubernetes();
    place = mkdtempSync(join(tmpdir(), "headworks-guide-"));
    symlinkSync(join(root, "deploy"), join(place, "deploy"));
    mkdirSync(join(place, "bin"));
    symlinkSync(findHelm() as string, join(place, "bin/helm"));
    writeFileSync(join(place, "bin/headworks"), `#!/bin/sh\nexec ${process.execPath} ${root}/src/main.ts "$@"\n`);
    chmodSync(join(place, "bin/headworks"), 0o755);
    await kubernetes.apply(...["default", "shop", "billing"].map((name) => ({ apiVersion: "v1", kind: "Namespace", metadata: { name } })), {
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "petstore", namespace: "default" },
      spec: { ports: [{ port: 8080 }] },
    });
  });
  afterAll(async () => {
    await running?.[Symbol.asyncDispose]();
    await kubernetes?.[Symbol.asyncDispose]();
    if (place !== undefined) rmSync(place, { recursive: true, force: true });
  });

  const shell = (text: string, input = "") => {
    const { stdout, stderr, status } = spawnSync("sh", ["-ec", text], {
      cwd: place,
      input,
      encoding: "utf8",
      env: {
        PATH: `${join(place, "bin")}:${dirname(process.execPath)}:${process.env.PATH}`,
        HOME: place,
        KUBECONFIG: kubernetes.kubeconfigPath,
        NO_COLOR: "1",
      },
    });
    expect(status, `${text}\n${stdout}${stderr}`).toBe(0);
    return stdout;
  };
  const blockWith = (word: string, language = "sh"): Block => {
    const found = blocks.find((each) => each.language === language && each.text.includes(word) && !done.has(each));
    if (!found) throw new Error(`the guide has no block with ${word}`);
    done.add(found);
    return found;
  };
  const follow = (word: string) => shell(blockWith(word).text);
  /** No Pod answers at the Service: the API server would ask, and wait, at each write. */
  const withoutWebhook = () => shell("kubectl delete validatingwebhookconfigurations --all");

  test("install with Helm, and a first route", async () => {
    const [install = "", upgrade = ""] = blockWith("helm install").text.split("\n");
    shell(install);
    withoutWebhook();
    await expect.poll(() => kubernetes.request("GET", "/apis/gateway.solo.io/v1/gateways?limit=1")).toMatchObject({ status: 200 });
    // Its notes say when it was too early.
    const upgraded = () => {
      const notes = shell(upgrade);
      withoutWebhook();
      return notes;
    };
    await expect.poll(upgraded, { interval: 1000, timeout: 60_000 }).not.toContain("helm upgrade headworks");
    const gateways = shell("kubectl -n gloo-system get gateways.gateway.solo.io -o name");
    expect(gateways.split("\n").sort()).toEqual(["", "gateway.gateway.solo.io/gateway-proxy", "gateway.gateway.solo.io/gateway-proxy-ssl"]);
    shell("kubectl apply -f -", blockWith("kind: Upstream", "yaml").text);
    // In the place of its Pod, with the rights of its account.
    const token = await kubernetes.serviceAccountToken("gloo-system", "headworks");
    const [xds, admin] = await freePorts(2);
    const addresses = ["--xds", `127.0.0.1:${xds}`, "--admin", `127.0.0.1:${admin}`];
    running = start(["run", "--source", "kubernetes", "--kubeconfig", kubernetes.kubeconfig({ token }), "--proxy", "none", ...addresses]);
    await running.said(/ready/);
    shell("kubectl -n gloo-system wait --for=condition=Accepted --timeout=60s virtualservice/petstore upstream/petstore");
    const { text } = blockWith("kubectl -n gloo-system get", "console");
    const [command = "", ...expected] = text.split("\n");
    const shown = shell(command.replace(/^\$ /, ""));
    const columns = (line: string) => line.replace(/\d+s$/, "").trim().split(/ +/);
    expect(shown.split("\n").map(columns)).toEqual(expected.map(columns));
    expect(running.stderr()).not.toContain("orbidden");
  });

  test("upgrade, and watch some namespaces only", () => {
    follow("helm upgrade headworks deploy/helm/headworks --namespace gloo-system --reuse-values\n");
    withoutWebhook();
    // They are Helm's, and up to date.
    expect(follow("headworks crds diff")).toMatch(/upstreams\.gloo\.solo\.io is as in headworks/);
    follow("watchNamespaces={shop,billing}");
    withoutWebhook();
    expect(shell("kubectl get roles -A -o jsonpath='{.items[*].metadata.namespace}'").split(" ")).toEqual(
      expect.arrayContaining(["shop", "billing", "gloo-system"]),
    );
  });

  test("look at what there is, and install it beside Gloo", () => {
    follow("headworks check --source");
    const values = blockWith("# beside-gloo.yaml", "yaml").text;
    writeFileSync(join(place, "beside-gloo.yaml"), values);
    shell("helm uninstall headworks --namespace gloo-system");
    follow("--values beside-gloo.yaml");
    expect(shell("kubectl -n headworks get deployments -o name")).toContain("deployment.apps/headworks");
  });

  test("install with kubectl", async () => {
    await running?.[Symbol.asyncDispose]();
    follow("openssl req");
    follow("kubectl apply -f deploy/manifests");
    withoutWebhook();
    expect(shell("kubectl -n gloo-system get deployments -o name").split("\n").sort()).toEqual([
      "",
      "deployment.apps/gateway-proxy",
      "deployment.apps/headworks",
    ]);
    const mounted = shell("kubectl -n gloo-system get secrets headworks-xds gateway-proxy-xds -o jsonpath='{.items[*].data}'");
    expect(mounted.match(/"ca\.crt"/g)).toHaveLength(2);
  });

  test("no command was left out but those that build an image", () => {
    const left = blocks.filter((block) => ["sh", "console"].includes(block.language) && !done.has(block));
    expect(left.map(({ text }) => text.split(" ")[0])).toEqual(["npm"]);
  });
});
