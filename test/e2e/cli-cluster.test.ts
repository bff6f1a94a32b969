// Commands on a cluster: a real API server with our definitions, and a user with few rights.
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Cluster, cluster, hasKubernetes } from "./cluster.ts";
import { commandHere } from "./command-here.ts";
import { object } from "./gateway.ts";
import { headworks } from "./headworks.ts";

const reader = { name: "reader", token: "reader-token" };
const folder = mkdtempSync(join(tmpdir(), "headworks-cluster-cli-"));
afterAll(() => rmSync(folder, { recursive: true }));

describe.skipIf(!hasKubernetes)("commands on a cluster", () => {
  let world: Cluster;
  let readerConfig = "";
  const run = (line: string) => commandHere([...line.split(" "), "--kubeconfig", world.kubernetes.kubeconfigPath]);
  const asReader = (line: string) => commandHere([...line.split(" "), "--kubeconfig", readerConfig]);
  const stored = (resource: string, name: string) => world.kubernetes.get(`${resource}.gloo.solo.io`, "gloo-system", name);

  beforeAll(async () => {
    world = await cluster({ users: [reader] });
    const { kubernetes } = world;
    readerConfig = kubernetes.kubeconfig(reader);
    await kubernetes.apply(
      object("Upstream", "petstore", { static: { hosts: [{ addr: "127.0.0.1", port: 9090 }] } }),
      {
        apiVersion: "rbac.authorization.k8s.io/v1",
        kind: "Role",
        metadata: { name: "reader", namespace: "gloo-system" },
        rules: [{ apiGroups: ["gloo.solo.io"], resources: ["upstreams"], verbs: ["get", "list", "create"] }],
      },
      {
        apiVersion: "rbac.authorization.k8s.io/v1",
        kind: "RoleBinding",
        metadata: { name: "reader", namespace: "gloo-system" },
        roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "Role", name: "reader" },
        subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "User", name: "reader" }],
      },
    );
  });
  afterAll(async () => {
    await world?.[Symbol.asyncDispose]();
  });

  test("an Upstream and a route are made, seen, changed and deleted", async () => {
    const made = await run("create upstream static web --static-hosts 10.0.0.1:81");
    expect(made).toMatchObject({ code: 0, stdout: "" });
    expect(made.stderr).toMatch(/^created Upstream gloo-system\/web in https:.*\(context "test"\)\n$/);
    expect(await stored("upstreams", "web")).toMatchObject({ spec: { static: { hosts: [{ addr: "10.0.0.1", port: 81 }] } } });

    const first = await run("add route --path-prefix /web --dest-name web");
    expect(first.stderr).toContain("created VirtualService gloo-system/default with the route in https:");
    const second = await run("add route --path-exact /new --dest-name wep");
    expect(second.code).toBe(0);
    expect(second.stderr).toMatch(/added route 0 to VirtualService gloo-system\/default[\s\S]*HW2030[\s\S]*did you mean web\?/);
    expect((await run("get vs route default")).stdout).toMatch(/^0 +\/new .*\n1 +\/web /m);
    expect((await run("remove route default")).code).toBe(0);
    expect((await run("get vs route default -o json")).stdout).not.toContain("/new");

    const deleted = await run("delete us web");
    expect(deleted.stderr).toContain("deleted Upstream gloo-system/web from https:");
    expect(deleted.stderr).toContain("HW2030");
    expect(await stored("upstreams", "web")).toBeUndefined();
    await run("delete vs default");
  });

  test("what is taken, unknown, or refused by the API is said in one line", async () => {
    const taken = await run("create upstream static petstore --static-hosts 10.0.0.1:81");
    expect(taken).toMatchObject({ code: 4, stdout: "" });
    expect(taken.stderr).toContain("error: Upstream gloo-system/petstore is there already: https:");
    const missing = await run("delete us petstor");
    expect(missing).toMatchObject({ code: 1, stdout: "" });
    expect(missing.stderr).toContain("did you mean petstore?");
    const refused = await run("create upstream static web -n nowhere --static-hosts 10.0.0.1:81");
    expect(refused.code).toBe(1);
    expect(refused.stderr).toMatch(/error: .*namespaces? "nowhere" not found/);
    for (const each of [taken, missing, refused]) expect(each.stderr).not.toMatch(/\n\s+at /);
  });

  test("routes that several people add at once are all there", async () => {
    await run("create vs many --domains many.example");
    const added = await Promise.all(
      ["/a", "/b", "/c"].map((path) =>
        headworks(["add", "route", "many", "-e", path, "-u", "petstore", "--kubeconfig", world.kubernetes.kubeconfigPath]),
      ),
    );
    expect(added.map(({ code }) => code)).toEqual([0, 0, 0]);
    const listed = await run("get vs route many -o json");
    const paths = JSON.parse(listed.stdout).items.map((each: { matchers: { exact: string }[] }) => each.matchers[0]?.exact);
    expect(paths.sort()).toEqual(["/a", "/b", "/c"]);
    await run("delete vs many");
  });

  test("get shows statuses as they are stored, whoever wrote them and however", async () => {
    await world.kubernetes.apply(object("Upstream", "old", { static: { hosts: [{ addr: "a", port: 1 }] } }));
    await world.kubernetes.patch(
      "upstreams.gloo.solo.io",
      "gloo-system",
      "old",
      { status: { statuses: { "gloo-system": { state: 2, reason: "a bad day", reportedBy: "gloo" } } } },
      "status",
    );
    const listed = await run("get us -o wide");
    expect(listed.stdout).toMatch(/^old +static +Rejected +a:1 +a bad day +kubernetes$/m);
    expect(listed.stdout).toMatch(/^petstore +static +Pending /m);
    await world.kubernetes.delete("upstreams.gloo.solo.io", "gloo-system", "old");
    const near = await run("get us petstor");
    expect(near).toMatchObject({ code: 1, stdout: "" });
    expect(near.stderr).toContain("did you mean petstore?");
  });

  test("check and translate read the whole cluster", async () => {
    const checked = await run("check");
    expect(checked).toMatchObject({ code: 0, stdout: "" });
    expect(checked.stderr).toMatch(/^checked \d+ resources of https:.*: 0 errors · 0 warnings\n$/);
    expect((await run("translate -o json")).stdout).toContain("gateway-proxy");
  });

  test("a secret is one of Kubernetes, and get never shows it", async () => {
    const file = join(folder, "keys");
    writeFileSync(file, "aws_access_key_id=AKID\naws_secret_access_key=TOPSECRET\n");
    expect((await run(`create secret aws keys --from-file ${file}`)).code).toBe(0);
    expect(await world.kubernetes.get("secrets", "gloo-system", "keys")).toMatchObject({ type: "Opaque" });
    const shown = await run("get secret keys -o yaml");
    expect(shown.stdout).toContain("aws:");
    expect(shown.stdout).not.toContain("TOPSECRET");
    expect(shown.stdout).not.toContain(Buffer.from("TOPSECRET").toString("base64"));
  });

  test("who may do little is told what is missing, and can do that little", async () => {
    expect((await asReader("get us petstore -o name")).stdout).toBe("upstreams/petstore\n");
    const denied = await asReader("get vs");
    expect(denied).toMatchObject({ code: 4, stdout: "" });
    expect(denied.stderr).toMatch(/^error: you may not do this at https:.*virtualservices\.gateway\.solo\.io is forbidden/);
    const checked = await asReader("check");
    expect(checked).toMatchObject({ code: 4, stdout: "" });
    // Writing needs no right to read everything.
    const made = await asReader("create upstream static mine --static-hosts 10.0.0.1:81");
    expect(made.code).toBe(0);
    expect(made.stderr).toMatch(/what it comes to is not looked at: [\s\S]*created Upstream gloo-system\/mine/);
  });

  test("the proxy's URL is that of its Service", async () => {
    const missing = await run("proxy url");
    expect(missing).toMatchObject({ code: 1, stdout: "" });
    await world.kubernetes.apply({
      apiVersion: "v1",
      kind: "Service",
      metadata: { name: "gateway-proxy", namespace: "gloo-system" },
      spec: {
        type: "LoadBalancer",
        ports: [
          { name: "http", port: 80 },
          { name: "https", port: 443 },
        ],
      },
    });
    const status = { loadBalancer: { ingress: [{ ip: "192.0.2.10" }] } };
    await world.kubernetes.patch("services", "gloo-system", "gateway-proxy", { status }, "status");
    expect(await run("proxy url")).toMatchObject({ code: 0, stdout: "http://192.0.2.10:80\n", stderr: "" });
    expect((await run("proxy url --port https")).stdout).toBe("https://192.0.2.10:443\n");
  });
});

describe("a cluster that cannot be reached", () => {
  const at = (...words: string[]) => headworks(words, { env: { HOME: folder, KUBECONFIG: "", KUBERNETES_SERVICE_HOST: "" } });

  test("is told apart: no kubeconfig, no such context, nobody answers", async () => {
    const file = join(folder, "config");
    const cluster = { server: "https://127.0.0.1:1" };
    writeFileSync(
      file,
      JSON.stringify({
        clusters: [{ name: "c", cluster }],
        users: [],
        contexts: [{ name: "there", context: { cluster: "c", user: "u" } }],
        "current-context": "there",
      }),
    );
    const [none, named, context, silent] = await Promise.all([
      at("get", "us", "--source", "kubernetes"),
      at("check", "--kubeconfig", join(folder, "nowhere")),
      at("delete", "us", "x", "--kubeconfig", file, "--context", "other"),
      at("get", "us", "--kubeconfig", file),
    ]);
    expect(none).toMatchObject({ code: 2, stdout: "" });
    expect(none?.stderr).toContain("error: there is no kubeconfig:");
    expect(named?.stderr).toContain("nowhere is not there");
    expect(context?.stderr).toContain('has no context "other"; there is there');
    expect(silent).toMatchObject({ code: 3, stdout: "" });
    expect(silent?.stderr).toMatch(/^error: no cluster answers at https:\/\/127\.0\.0\.1:1 \(context "there"\): .*ECONNREFUSED/);
  });
});
