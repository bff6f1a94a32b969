// What tests do to a cluster, in the words of kubectl. Not the client that Headworks uses: a fault of that one shall not hide itself.
import { Agent, request as httpsRequest } from "node:https";
import { setTimeout as delay } from "node:timers/promises";
import { loadAll } from "js-yaml";

export interface KubeObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly resourceVersion?: string;
    readonly generation?: number;
    readonly uid?: string;
    readonly [field: string]: unknown;
  };
  // biome-ignore lint/suspicious/noExplicitAny: tests know what they wrote
  readonly [field: string]: any;
}

export interface KubeAnswer {
  readonly status: number;
  /** Parsed, where it is JSON. */
  readonly body: unknown;
}

export interface KubeClient {
  /**
   * Server-side apply of YAML text or objects. Namespaces that are not there are made; after a CustomResourceDefinition, waits until
   * its kind is served. Returns the objects as they are stored.
   */
  apply(...manifests: readonly (string | object)[]): Promise<KubeObject[]>;
  /** `get("upstreams.gloo.solo.io", "gloo-system", "web")`: as kubectl, a plural with its group; "" is the namespace of what has none. */
  get(resource: string, namespace: string, name: string): Promise<KubeObject | undefined>;
  list(resource: string, namespace?: string): Promise<KubeObject[]>;
  /** A JSON merge patch; of a subresource (`status`) where one is named. */
  patch(resource: string, namespace: string, name: string, patch: object, subresource?: string): Promise<KubeObject>;
  /** Nothing is wrong when it is not there. */
  delete(resource: string, namespace: string, name: string): Promise<void>;
  request(method: string, path: string, body?: unknown, options?: RequestOptions): Promise<KubeAnswer>;
  /** Closes connections and forgets what kinds there are. */
  forget(): void;
}

export interface RequestOptions {
  readonly contentType?: string;
  readonly timeoutMs?: number;
}

interface Resource {
  readonly plural: string;
  readonly kind: string;
  readonly groupVersion: string;
  readonly isNamespaced: boolean;
}

export function kubeClient(server: { readonly url: string; readonly ca: () => string; readonly token: string }): KubeClient {
  let agent: Agent | undefined;
  /** By `apiVersion Kind`. */
  const kinds = new Map<string, Resource>();
  const namespaces = new Set<string>();

  const request: KubeClient["request"] = (method, path, body, { contentType = "application/json", timeoutMs = 30_000 } = {}) => {
    agent ??= new Agent({ keepAlive: true, maxSockets: 16, ca: server.ca() });
    const text = body === undefined ? undefined : typeof body === "string" ? body : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const headers = {
        authorization: `Bearer ${server.token}`,
        accept: "application/json",
        // Of a DELETE, Node.js itself does not say how long it is.
        ...(text !== undefined && { "content-type": contentType, "content-length": Buffer.byteLength(text) }),
      };
      const sent = httpsRequest(`${server.url}${path}`, { method, agent, headers, timeout: timeoutMs }, (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.on("error", reject);
        response.on("end", () => {
          const answer = Buffer.concat(chunks).toString("utf8");
          const isJson = response.headers["content-type"]?.includes("json");
          resolve({ status: response.statusCode ?? 0, body: isJson ? JSON.parse(answer) : answer });
        });
      });
      sent.on("timeout", () => sent.destroy(new Error(`${method} ${path}: nothing came for ${timeoutMs} ms`)));
      sent.on("error", reject);
      sent.end(text);
    });
  };
  const need = async (method: string, path: string, body?: unknown, options?: RequestOptions): Promise<KubeObject> => {
    const answer = await request(method, path, body, options);
    if (answer.status >= 300) throw new Error(`${method} ${path}: ${answer.status} ${JSON.stringify(answer.body)}`);
    return answer.body as KubeObject;
  };

  const learn = async (groupVersion: string) => {
    const { status, body } = await request("GET", root(groupVersion));
    if (status === 404) return;
    for (const { name, kind, namespaced } of (body as { resources: { name: string; kind: string; namespaced: boolean }[] }).resources)
      if (!name.includes("/")) kinds.set(`${groupVersion} ${kind}`, { plural: name, kind, groupVersion, isNamespaced: namespaced });
  };
  const resourceOf = async (apiVersion: string, kind: string): Promise<Resource> => {
    const key = `${apiVersion} ${kind}`;
    if (!kinds.has(key)) await learn(apiVersion);
    const found = kinds.get(key);
    if (!found) throw new Error(`the cluster has no ${kind} in ${apiVersion}`);
    return found;
  };
  /** `upstreams.gloo.solo.io` or `services`. */
  const resourceNamed = async (name: string): Promise<Resource> => {
    const [plural, ...group] = name.split(".");
    const find = () => [...kinds.values()].find((each) => each.plural === plural && groupOf(each.groupVersion) === group.join("."));
    if (!find()) {
      if (group.length === 0) await learn("v1");
      else {
        const { body, status } = await request("GET", `/apis/${group.join(".")}`);
        if (status === 200)
          for (const { groupVersion } of (body as { versions: { groupVersion: string }[] }).versions) await learn(groupVersion);
      }
    }
    const found = find();
    if (!found) throw new Error(`the cluster has no ${name}`);
    return found;
  };
  const pathOf = ({ plural, groupVersion, isNamespaced }: Resource, namespace = "", name = "") =>
    `${root(groupVersion)}${isNamespaced && namespace !== "" ? `/namespaces/${namespace}` : ""}/${plural}${name === "" ? "" : `/${name}`}`;

  const makeNamespace = async (namespace: string) => {
    if (namespaces.has(namespace)) return;
    const { status, body } = await request("POST", "/api/v1/namespaces", {
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name: namespace },
    });
    if (status >= 300 && status !== 409) throw new Error(`namespace ${namespace}: ${status} ${JSON.stringify(body)}`);
    namespaces.add(namespace);
  };
  const applyOne = async (object: KubeObject): Promise<KubeObject> => {
    const resource = await resourceOf(object.apiVersion, object.kind);
    const namespace = resource.isNamespaced ? (object.metadata.namespace ?? "default") : "";
    if (namespace !== "") await makeNamespace(namespace);
    const path = `${pathOf(resource, namespace, object.metadata.name)}?fieldManager=test&force=true`;
    const made = await need("PATCH", path, object, { contentType: "application/apply-patch+yaml" });
    if (object.kind === "CustomResourceDefinition") await isServed(object);
    return made;
  };
  const isServed = async ({ spec }: KubeObject) => {
    for (const { name, served } of spec.versions as { name: string; served: boolean }[]) {
      if (!served) continue;
      // What it serves and what it says to serve come from two places, and one may be late.
      const at = root(`${spec.group}/${name}`);
      const isListed = async () =>
        ((await request("GET", at)).body as { resources?: { kind: string }[] }).resources?.some(({ kind }) => kind === spec.names.kind);
      for (let tries = 0; !(await isListed()) || (await request("GET", `${at}/${spec.names.plural}?limit=1`)).status !== 200; tries++) {
        if (tries > 600) throw new Error(`${spec.names.plural}.${spec.group} is not served`);
        await delay(25);
      }
    }
  };

  return {
    request,
    async apply(...manifests) {
      const objects = manifests
        .flatMap((each) => (typeof each === "string" ? (loadAll(each) as KubeObject[]) : [each as KubeObject]))
        .filter(Boolean);
      const made: KubeObject[] = [];
      // In order while kinds come into being, then several at once.
      const isFirst = ({ kind }: KubeObject) => kind === "CustomResourceDefinition" || kind === "Namespace";
      for (const object of objects.filter(isFirst)) made.push(await applyOne(object));
      const rest = objects.filter((object) => !isFirst(object));
      for (const object of rest.slice(0, 1)) made.push(await applyOne(object));
      for (let from = 1; from < rest.length; from += 16) made.push(...(await Promise.all(rest.slice(from, from + 16).map(applyOne))));
      return made;
    },
    async get(name, namespace, object) {
      const { status, body } = await request("GET", pathOf(await resourceNamed(name), namespace, object));
      if (status === 404) return undefined;
      if (status >= 300) throw new Error(`get ${name} ${namespace}/${object}: ${status} ${JSON.stringify(body)}`);
      return body as KubeObject;
    },
    async list(name, namespace) {
      return (await need("GET", pathOf(await resourceNamed(name), namespace))).items as KubeObject[];
    },
    async patch(name, namespace, object, patch, subresource) {
      const path = `${pathOf(await resourceNamed(name), namespace, object)}${subresource === undefined ? "" : `/${subresource}`}`;
      return need("PATCH", path, patch, { contentType: "application/merge-patch+json" });
    },
    async delete(name, namespace, object) {
      const { status, body } = await request("DELETE", pathOf(await resourceNamed(name), namespace, object));
      if (status >= 300 && status !== 404) throw new Error(`delete ${name} ${namespace}/${object}: ${status} ${JSON.stringify(body)}`);
    },
    forget() {
      agent?.destroy();
      agent = undefined;
      kinds.clear();
    },
  };
}

function root(groupVersion: string): string {
  return groupVersion.includes("/") ? `/apis/${groupVersion}` : `/api/${groupVersion}`;
}

function groupOf(groupVersion: string): string {
  return groupVersion.includes("/") ? (groupVersion.split("/")[0] as string) : "";
}
