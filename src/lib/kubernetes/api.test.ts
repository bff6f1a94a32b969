// The client against a real API server: every verb, every way in, every kind of refusal.
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createServer as createHttpServer } from "node:http";
import http2 from "node:http2";
import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from "vitest";
import { type RunningKubernetes, startKubernetes } from "../../../test/servers/kubernetes.ts";
import { findKubernetes } from "../../../test/servers/kubernetes-binaries.ts";
import { startKubeProxy } from "../../../test/servers/kubernetes-proxy.ts";
import { bestOfThree } from "../testing/bestOf.ts";
import { type KubeApi, type KubeApiOptions, kubeApi } from "./api.ts";
import { ConnectionError, connectionTo } from "./connection.ts";
import type { KubeError } from "./error.ts";
import type { KubeObject, ResourceType } from "./object.ts";
import { type ReflectorOptions, type ReflectorSink, reflect } from "./reflector.ts";

const configMaps: ResourceType = { group: "", version: "v1", plural: "configmaps", kind: "ConfigMap", isNamespaced: true };
const things: ResourceType = { group: "example.com", version: "v1", plural: "things", kind: "Thing", isNamespaced: true };

describe.skipIf(findKubernetes() === undefined)("the Kubernetes API", () => {
  let kubernetes: RunningKubernetes;
  let folder: string;
  const open: Disposable[] = [];
  beforeAll(async () => {
    kubernetes = await startKubernetes({ users: [{ name: "nobody", token: "nobody-token" }] });
    folder = mkdtempSync(join(tmpdir(), "kube-api-"));
  });
  afterEach(() => {
    for (const each of open.splice(0)) each[Symbol.dispose]();
  });
  afterAll(async () => {
    await kubernetes?.[Symbol.asyncDispose]();
    rmSync(folder, { recursive: true, force: true });
  });

  const api = async (options: KubeApiOptions = {}): Promise<KubeApi> => {
    const made = await kubeApi({ kubeconfig: kubernetes.kubeconfigPath, ...options });
    open.push(made);
    return made;
  };
  const configMap = (namespace: string, name: string, data: object = {}): KubeObject => ({
    apiVersion: "v1",
    kind: "ConfigMap",
    metadata: { namespace, name },
    data,
  });
  const faultOf = (promise: Promise<unknown>) =>
    promise.then(
      () => undefined,
      (error: KubeError) => error,
    );

  test("objects are made, read, changed and deleted", async () => {
    await kubernetes.apply({ apiVersion: "v1", kind: "Namespace", metadata: { name: "verbs" } });
    const kube = await api();
    const made = await kube.create(configMaps, configMap("verbs", "a", { x: "1" }));
    expect((await kube.get(configMaps, { namespace: "verbs", name: "a" })).data).toEqual({ x: "1" });
    expect((await kube.update(configMaps, { ...made, data: { x: "2" } })).data).toEqual({ x: "2" });
    expect((await faultOf(kube.update(configMaps, { ...made, data: { x: "3" } })))?.fault).toBe("conflict");
    expect((await kube.patch(configMaps, { namespace: "verbs", name: "a" }, { data: { y: "4" } })).data).toEqual({ x: "2", y: "4" });
    expect((await faultOf(kube.apply(configMaps, configMap("verbs", "a", { x: "5" }), { fieldManager: "us" })))?.reason).toBe("Conflict");
    expect((await kube.apply(configMaps, configMap("verbs", "a", { x: "5" }), { fieldManager: "us", force: true })).data).toMatchObject({
      x: "5",
    });
    expect((await kube.list(configMaps, { namespace: "verbs" })).items).toMatchObject([{ kind: "ConfigMap", metadata: { name: "a" } }]);
    const preconditions = { uid: "other" };
    expect((await faultOf(kube.delete(configMaps, { namespace: "verbs", name: "a" }, { preconditions })))?.fault).toBe("conflict");
    await kube.delete(configMaps, { namespace: "verbs", name: "a" });
    expect((await faultOf(kube.get(configMaps, { namespace: "verbs", name: "a" })))?.fault).toBe("missing");
  });

  test("kinds are discovered, and whether their status is a subresource; it is written apart", async () => {
    await kubernetes.apply(definition("Thing", true), definition("Plain", false));
    const kube = await api();
    const served = await kube.discover("example.com/v1");
    expect(served.map(({ kind, hasStatus, isNamespaced }) => [kind, hasStatus, isNamespaced]).sort()).toEqual([
      ["Plain", false, true],
      ["Thing", true, true],
    ]);
    expect(await kube.discover("nowhere.example.com/v1")).toEqual([]);
    const object = { apiVersion: "example.com/v1", kind: "Thing", metadata: { namespace: "default", name: "a" } };
    await kube.create(things, { ...object, spec: { x: 1 }, status: { lost: true } });
    await kube.apply(things, { ...object, status: { state: 1 } }, { subresource: "status" });
    expect(await kube.get(things, { namespace: "default", name: "a" })).toMatchObject({ spec: { x: 1 }, status: { state: 1 } });
    expect((await kube.patch(things, { namespace: "default", name: "a" }, { spec: { x: 2 }, status: { state: 2 } })).status).toEqual({
      state: 1,
    });
  });

  test("a refusal names what was asked and what is missing", async () => {
    const kube = await api({ kubeconfig: kubernetes.kubeconfig({ token: "nobody-token" }) });
    const denied = await faultOf(kube.list(configMaps, { namespace: "verbs" }));
    expect(denied).toMatchObject({ fault: "denied", status: 403, reason: "Forbidden", request: "list configmaps in verbs" });
    expect(denied?.message).toContain('cannot list resource "configmaps" in API group "" in the namespace "verbs"');
    const unknown = await api({ kubeconfig: kubernetes.kubeconfig({ token: "wrong" }) });
    expect(await faultOf(unknown.list(configMaps))).toMatchObject({ fault: "denied", status: 401 });
    const missing = await faultOf((await api()).list({ ...configMaps, group: "gone.example.com", plural: "things" }));
    expect(missing).toMatchObject({ fault: "missing", request: "list things.gone.example.com" });
  });

  test("what does not answer is unreachable, and the user is told where it was looked for", async () => {
    const kube = await api({ kubeconfig: kubernetes.kubeconfig({ server: "https://127.0.0.1:1" }) });
    expect(await faultOf(kube.list(configMaps))).toMatchObject({ fault: "unreachable", isTransient: true });
    expect((await faultOf(kube.list(configMaps)))?.message).toContain("127.0.0.1:1");
    await expect(kubeApi({ kubeconfig: "/nowhere/config" })).rejects.toThrow("the kubeconfig /nowhere/config is not there");
    await expect(kubeApi({ kubeconfig: kubernetes.kubeconfigPath, context: "prod" })).rejects.toThrow(
      'has no context "prod"; there is test',
    );
    writeFileSync(join(folder, "broken"), "clusters: [");
    await expect(kubeApi({ kubeconfig: join(folder, "broken") })).rejects.toThrow(ConnectionError);
  });

  test("an outage of days keeps nobody who has waited for its end", async () => {
    const kube = await api({ kubeconfig: kubernetes.kubeconfig({ server: "https://127.0.0.1:1" }) });
    let [asked, waiting] = [0, 0];
    const counted: KubeApi = {
      ...kube,
      answered: (signal) => {
        asked++;
        waiting++;
        return kube.answered(signal).finally(() => waiting--);
      },
    };
    const ended = new AbortController();
    const sink = { apply() {}, delete() {}, synced() {}, fault() {} };
    const reflecting = reflect(counted, configMaps, sink, { signal: ended.signal, backoff: { firstMs: 1, mostMs: 5 } });
    await expect.poll(() => asked).toBeGreaterThan(10);
    expect(waiting).toBeLessThanOrEqual(1);
    ended.abort();
    await reflecting;
    await expect.poll(() => waiting).toBe(0);
  });

  test("a Pod's token and authority are read anew when they rotate", async () => {
    const account = join(folder, "account");
    mkdirSync(account);
    const write = (name: string, text: string) => writeFileSync(join(account, name), text);
    write("token", "old");
    write("namespace", "gloo-system\n");
    write("ca.crt", readFileSync(kubernetes.caFile, "utf8"));
    const { hostname, port } = new URL(kubernetes.url);
    const connection = await inPod(hostname, port, () => connectionTo({ serviceAccountFolder: account }));
    expect(connection).toMatchObject({ namespace: "gloo-system", isInCluster: true });
    const kube = await inPod(hostname, port, () => kubeApi({ serviceAccountFolder: account }));
    open.push(kube);
    expect(await faultOf(kube.list(configMaps))).toMatchObject({ status: 401 });
    write("token", `${kubernetes.adminToken}\n`);
    await kube.list(configMaps);
    await kubernetes.apiServer.kill();
    kubernetes.rotateCertificate();
    await kubernetes.apiServer.start();
    expect(await faultOf(kube.list(configMaps))).toMatchObject({ fault: "unreachable" });
    write("ca.crt", readFileSync(kubernetes.caFile, "utf8"));
    await kube.list(configMaps);
  });

  test("a kubeconfig may have exec plug-ins and token files, and several files are one", async () => {
    const plugin = join(folder, "plugin.sh");
    const credential = { apiVersion: "client.authentication.k8s.io/v1", kind: "ExecCredential", status: { token: kubernetes.adminToken } };
    writeFileSync(plugin, `#!/bin/sh\necho '${JSON.stringify(credential)}'\n`);
    chmodSync(plugin, 0o755);
    writeFileSync(join(folder, "token-of-file"), kubernetes.adminToken);
    const write = (name: string, config: object) => writeFileSync(join(folder, name), JSON.stringify(config));
    const exec = { apiVersion: "client.authentication.k8s.io/v1", command: plugin, interactiveMode: "Never" };
    write("users", {
      users: [
        { name: "exec", user: { exec } },
        { name: "file", user: { tokenFile: "token-of-file" } },
      ],
    });
    write("contexts", {
      clusters: [{ name: "c", cluster: { server: kubernetes.url, "certificate-authority": kubernetes.caFile } }],
      users: [{ name: "file", user: { token: "never used: the first file counts" } }],
      contexts: ["exec", "file"].map((name) => ({ name, context: { cluster: "c", user: name, namespace: `of-${name}` } })),
      "current-context": "exec",
    });
    process.env.KUBECONFIG = [join(folder, "users"), join(folder, "not-there"), join(folder, "contexts")].join(":");
    try {
      for (const name of ["exec", "file"]) {
        const kube = await kubeApi({ context: name });
        open.push(kube);
        expect(kube.connection.namespace).toBe(`of-${name}`);
        await kube.list(configMaps);
      }
    } finally {
      delete process.env.KUBECONFIG;
    }
  });

  test("where there is no HTTP/2, HTTP/1.1 does: behind a proxy of the kubeconfig, or one that ends TLS", async () => {
    await using ending = await startKubeProxy(kubernetes, { tls: true });
    await using tunnel = await startTunnel();
    const config = JSON.parse(readFileSync(kubernetes.kubeconfigPath, "utf8"));
    config.clusters[0].cluster["proxy-url"] = `http://127.0.0.1:${tunnel.port}`;
    writeFileSync(join(folder, "through-tunnel"), JSON.stringify(config));
    for (const [name, kubeconfig] of Object.entries({ ending: ending.kubeconfigPath, tunnel: join(folder, "through-tunnel") })) {
      await kubernetes.apply(configMap("http1", `before-${name}`));
      const kube = await api({ kubeconfig });
      const { items, resourceVersion } = await kube.list(configMaps, { namespace: "http1" });
      expect(items.map(({ metadata }) => metadata.name)).toContain(`before-${name}`);
      const abort = new AbortController();
      const watch = kube.watch(configMaps, { namespace: "http1", resourceVersion, signal: abort.signal });
      await kubernetes.apply(configMap("http1", `after-${name}`));
      expect((await watch.next()).value).toMatchObject({ type: "ADDED", object: { metadata: { name: `after-${name}` } } });
      abort.abort(new Error("left"));
      await expect(watch.next()).rejects.toThrow("left");
      // A deletion with a body, of which Node.js does not say by itself how long it is.
      const ref = { namespace: "http1", name: `after-${name}` };
      const { uid = "" } = (await kube.get(configMaps, ref)).metadata;
      expect((await faultOf(kube.delete(configMaps, ref, { preconditions: { uid: "other" } })))?.fault).toBe("conflict");
      await kube.delete(configMaps, ref, { preconditions: { uid } });
      expect((await faultOf(kube.get(configMaps, ref)))?.fault).toBe("missing");
    }
    expect(ending.requests.some((each) => each.includes("watch=true"))).toBe(true);
    expect(tunnel.connects()).toBeGreaterThan(0);
  });

  describe("a reflector", () => {
    const endings: (() => Promise<void>)[] = [];
    afterEach(async () => {
      for (const end of endings.splice(0)) await end();
    });
    const follow = async (kube: KubeApi, namespace: string, options: Partial<ReflectorOptions> = {}) => {
      const abort = new AbortController();
      const told: string[] = [];
      const faults: (string | undefined)[] = [];
      const held: { readonly missing: number; readonly told: number; readonly at: number }[] = [];
      const objects = new Map<string, unknown>();
      let syncs = 0;
      const sink: ReflectorSink = {
        apply({ metadata, data }) {
          told.push(`+${metadata.name}`);
          objects.set(metadata.name, data);
        },
        delete({ name }) {
          told.push(`-${name}`);
          objects.delete(name);
        },
        synced: () => void syncs++,
        fault: (error) => void faults.push(error?.fault),
        held: (missing) => void held.push({ missing, told: told.length, at: performance.now() }),
      };
      const backoff = { firstMs: 20, mostMs: 200 };
      const run = reflect(kube, configMaps, sink, { namespace, backoff, signal: abort.signal, ...options });
      endings.push(async () => {
        abort.abort();
        await run;
      });
      await expect.poll(() => syncs).toBe(1);
      return { told, faults, held, objects, syncs: () => syncs };
    };
    const put = (namespace: string, name: string, data: object = {}) => kubernetes.apply(configMap(namespace, name, data));

    test("tells what is there, in pages, and then what changes", async () => {
      for (let i = 0; i < 7; i++) await put("pages", `m${i}`);
      const { told, objects } = await follow(await api(), "pages", { pageSize: 2 });
      expect(told.sort()).toEqual(["+m0", "+m1", "+m2", "+m3", "+m4", "+m5", "+m6"]);
      await put("pages", "m7");
      await put("pages", "m3", { x: "1" });
      await kubernetes.delete("configmaps", "pages", "m5");
      await expect.poll(() => told.slice(7)).toEqual(["+m7", "+m3", "-m5"]);
      expect(objects.get("m3")).toEqual({ x: "1" });
    });

    test("after a restart of the API server it lists again and tells only what is different", bestOfThree, async () => {
      for (const name of ["a", "b", "c"]) await put("restart", name);
      const { told, faults } = await follow(await api(), "restart");
      for (let round = 0; round < 2; round++) {
        told.length = 0;
        faults.length = 0;
        await kubernetes.apiServer.kill();
        await expect.poll(() => faults[0]).toBe("unreachable");
        await kubernetes.apiServer.start();
        const back = performance.now();
        await put("restart", "b", { at: String(Date.now()) });
        await expect.poll(() => told).toEqual(["+b"]);
        await expect.poll(() => faults.at(-1)).toBe(undefined);
        expect(performance.now() - back).toBeLessThan(5000);
      }
    });

    test("a server that hangs is noticed by its silence", async () => {
      await put("hang", "a");
      const { told, faults } = await follow(await api({ pingEveryMs: 500, pingTimeoutMs: 2000 }), "hang");
      kubernetes.apiServer.pause();
      try {
        await expect.poll(() => faults[0]).toBe("unreachable");
      } finally {
        kubernetes.apiServer.resume();
      }
      await put("hang", "b");
      await expect.poll(() => told).toEqual(["+a", "+b"]);
      await expect.poll(() => faults.at(-1)).toBe(undefined);
    });

    test("a stall of our own is no silence of the server", async () => {
      const unused = http2.connect("http://127.0.0.1:1").on("error", () => undefined);
      const sessions = Object.getPrototypeOf(Object.getPrototypeOf(unused)) as Pick<http2.ClientHttp2Session, "ping">;
      const { ping } = sessions;
      let pings = 0;
      // The answer comes while nobody reads, and lies there when time is up.
      const stalled = vi.spyOn(sessions, "ping").mockImplementation(function (this: http2.ClientHttp2Session, ...args) {
        pings++;
        setImmediate(() => Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300));
        return ping.apply(this, args as never);
      });
      try {
        await put("stall", "a");
        const { told, faults } = await follow(await api({ pingEveryMs: 50, pingTimeoutMs: 200 }), "stall");
        await expect.poll(() => pings).toBeGreaterThan(2);
        await put("stall", "b");
        await expect.poll(() => told).toEqual(["+a", "+b"]);
        expect(faults).not.toContain("unreachable");
      } finally {
        stalled.mockRestore();
      }
    });

    test("a network that drops what the server says, or refuses, is an outage; it goes on when it is mended", async () => {
      await put("partition", "a");
      await using network = await startNetwork(Number(new URL(kubernetes.url).port));
      const kubeconfig = kubernetes.kubeconfig({ server: `https://127.0.0.1:${network.port}` });
      const { told, faults } = await follow(
        await api({ kubeconfig, pingEveryMs: 500, pingTimeoutMs: 2000, connectTimeoutMs: 2000 }),
        "partition",
      );
      for (const [round, fail] of (["drop", "refuse"] as const).entries()) {
        faults.length = 0;
        network.mode = fail;
        await expect.poll(() => faults[0]).toBe("unreachable");
        await put("partition", `while-${round}`);
        network.mode = "pass";
        await expect.poll(() => told).toContain(`+while-${round}`);
        await expect.poll(() => faults.at(-1)).toBe(undefined);
      }
      expect(told).toEqual(["+a", "+while-0", "+while-1"]);
    });

    test("a watch from a revision that is compacted away lists again", async () => {
      await put("compact", "a");
      const kube = await api();
      const { resourceVersion } = await kube.list(configMaps, { namespace: "compact" });
      await put("compact", "b");
      await kubernetes.etcd.compact();
      await kubernetes.apiServer.kill();
      await kubernetes.apiServer.start();
      const watching = (async () => {
        for await (const _ of kube.watch(configMaps, { namespace: "compact", resourceVersion, signal: AbortSignal.timeout(60_000) }));
      })();
      expect(await faultOf(watching)).toMatchObject({ fault: "expired", status: 410 });
    });

    test("most of what was there is missing after an outage: believed at the second look", async () => {
      for (let i = 0; i < 8; i++) await put("mass", `m${i}`);
      const { told, held } = await follow(await api(), "mass", { holdMs: 1500 });
      told.length = 0;
      await kubernetes.apiServer.kill();
      // Behind our back: what is in etcd is gone when the API server is back.
      const range = (from: string, to: string) => ({
        key: Buffer.from(from).toString("base64"),
        range_end: Buffer.from(to).toString("base64"),
      });
      const body = JSON.stringify(range("/registry/configmaps/mass/m1", "/registry/configmaps/mass/m8"));
      await fetch(`${kubernetes.etcd.url}/v3/kv/deleterange`, { method: "POST", body });
      await kubernetes.apiServer.start();
      await expect.poll(() => held.map(({ missing }) => missing)).toEqual([7, 0]);
      await expect.poll(() => told.length).toBe(7);
      const [first, believed] = held;
      expect(first?.told).toBe(0);
      expect((believed?.at ?? 0) - (first?.at ?? 0)).toBeGreaterThan(1400);
    });
  });
});

function definition(kind: string, hasStatus: boolean): object {
  const plural = `${kind.toLowerCase()}s`;
  const schema = { openAPIV3Schema: { type: "object", "x-kubernetes-preserve-unknown-fields": true } };
  return {
    apiVersion: "apiextensions.k8s.io/v1",
    kind: "CustomResourceDefinition",
    metadata: { name: `${plural}.example.com` },
    spec: {
      group: "example.com",
      scope: "Namespaced",
      names: { kind, plural, singular: kind.toLowerCase(), listKind: `${kind}List` },
      versions: [{ name: "v1", served: true, storage: true, schema, ...(hasStatus && { subresources: { status: {} } }) }],
    },
  };
}

/** An HTTP proxy, which passes connections on. */
async function startTunnel() {
  let connects = 0;
  const sockets = new Set<Socket>();
  const server = createHttpServer();
  server.on("connect", ({ url = "" }, from: Socket) => {
    connects++;
    const to = connect(Number(url.split(":")[1]), "127.0.0.1", () => {
      from.write("HTTP/1.1 200 OK\r\n\r\n");
      from.pipe(to).pipe(from);
    });
    for (const each of [from, to]) sockets.add(each.on("error", () => undefined));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    connects: () => connects,
    async [Symbol.asyncDispose]() {
      for (const each of sockets) each.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** Between us and a server on this machine: passes all on, drops what comes back, or cuts connections and refuses new ones. */
async function startNetwork(to: number) {
  const network = { mode: "pass" as "pass" | "drop" | "refuse" };
  const pairs = new Set<readonly [Socket, Socket]>();
  const server = createServer((from) => {
    if (network.mode === "refuse") return from.destroy();
    const other = connect(to, "127.0.0.1");
    const pair = [from, other] as const;
    pairs.add(pair);
    from.on("data", (chunk) => other.write(chunk));
    other.on("data", (chunk) => network.mode === "drop" || from.write(chunk));
    for (const each of pair) {
      each.on("error", () => undefined);
      each.on("close", () => {
        for (const one of pair) one.destroy();
        pairs.delete(pair);
      });
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const cut = () => {
    for (const [from] of pairs) from.destroy();
  };
  return {
    port: (server.address() as AddressInfo).port,
    set mode(mode: "pass" | "drop" | "refuse") {
      network.mode = mode;
      if (mode === "refuse") cut();
    },
    async [Symbol.asyncDispose]() {
      cut();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function inPod<T>(host: string, port: string, run: () => Promise<T>): Promise<T> {
  process.env.KUBERNETES_SERVICE_HOST = host;
  process.env.KUBERNETES_SERVICE_PORT = port;
  try {
    return await run();
  } finally {
    delete process.env.KUBERNETES_SERVICE_HOST;
    delete process.env.KUBERNETES_SERVICE_PORT;
  }
}
