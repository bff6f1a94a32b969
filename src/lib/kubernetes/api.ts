// The Kubernetes API, as much of it as a controller needs: ask what kinds there are, list, watch, read and write objects. Knows no kind
// by name. What is kept and what is done again is its callers' business (reflector.ts for watches).
import { packageVersion } from "../package-root.ts";
import { errorOf, jsonLines, textOf } from "./body.ts";
import { type Connection, type ConnectionOptions, connectionTo } from "./connection.ts";
import { errorOfStatus, KubeError } from "./error.ts";
import { type KubeObject, pathOf, type ResourceType, resourceName, type ServedType } from "./object.ts";
import { Transport, type TransportAnswer, type TransportOptions } from "./transport.ts";

export interface CallOptions {
  readonly signal?: AbortSignal;
  /** How long the server may take to begin its answer. Default: 30 s. */
  readonly timeoutMs?: number;
}

export interface Selection {
  /** All namespaces, unless given. */
  readonly namespace?: string;
  readonly labelSelector?: string;
  readonly fieldSelector?: string;
}

export interface ListOptions extends Selection, CallOptions {
  /** Most objects of a page. */
  readonly limit?: number;
  /** From the page before. */
  readonly continue?: string;
  /** See https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions; unset: the newest there is. */
  readonly resourceVersion?: string;
}

export interface ListPage {
  /** With `apiVersion` and `kind`, which the API leaves out in lists. */
  readonly items: readonly KubeObject[];
  readonly resourceVersion: string;
  /** Undefined on the last page. */
  readonly continue: string | undefined;
}

export interface WatchOptions extends Selection {
  readonly resourceVersion: string;
  readonly signal: AbortSignal;
  /** The server has begun to answer; the first event may take a minute. */
  readonly onOpen?: () => void;
}

export interface WatchEvent {
  /** Of `BOOKMARK`, the object has nothing but a resourceVersion. */
  readonly type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK";
  readonly object: KubeObject;
}

export interface ObjectRef {
  readonly namespace?: string;
  readonly name: string;
}

export interface WriteOptions extends CallOptions {
  /** Who writes, in `managedFields`; {@link KubeApi.apply} needs one. Default: `headworks`. */
  readonly fieldManager?: string;
  /** `status`: of kinds that have it as a subresource (see {@link ServedType.hasStatus}). */
  readonly subresource?: string;
  readonly dryRun?: boolean;
}

export interface ApplyOptions extends WriteOptions {
  /** Take fields over that others have applied; otherwise that is a `conflict`. */
  readonly force?: boolean;
}

export interface DeleteOptions extends CallOptions {
  /** Only this very object: a `conflict` if it was made anew or changed. */
  readonly preconditions?: { readonly uid?: string; readonly resourceVersion?: string };
}

/** All methods throw a {@link KubeError}, or the reason of their signal. */
export interface KubeApi extends Disposable {
  readonly connection: Connection;
  /**
   * Resolves with the next answer that is no complaint of the server about itself: whoever waits after an outage need not wait longer. Also
   * when the signal aborts; whoever has waited long enough aborts it, or an outage of days keeps all who ever waited.
   */
  answered(signal: AbortSignal): Promise<void>;
  /** The kinds of a group and version (`v1`, `gloo.solo.io/v1`); none where it is not served. */
  discover(apiVersion: string, options?: CallOptions): Promise<readonly ServedType[]>;
  list(type: ResourceType, options?: ListOptions): Promise<ListPage>;
  /** Ends when the server ends it, as it does every few minutes. */
  watch(type: ResourceType, options: WatchOptions): AsyncGenerator<WatchEvent, void, undefined>;
  get(type: ResourceType, ref: ObjectRef, options?: CallOptions): Promise<KubeObject>;
  create(type: ResourceType, object: KubeObject, options?: WriteOptions): Promise<KubeObject>;
  /** Replaces it; a `conflict` if `metadata.resourceVersion` is not the newest. */
  update(type: ResourceType, object: KubeObject, options?: WriteOptions): Promise<KubeObject>;
  /** A JSON merge patch. With `metadata.resourceVersion` in it, a `conflict` if that is not the newest. */
  patch(type: ResourceType, ref: ObjectRef, patch: object, options?: WriteOptions): Promise<KubeObject>;
  /** Server-side apply. */
  apply(type: ResourceType, object: KubeObject, options?: ApplyOptions): Promise<KubeObject>;
  delete(type: ResourceType, ref: ObjectRef, options?: DeleteOptions): Promise<void>;
  /** Asks for something that answers in plain words: `/readyz`. */
  probe(path: string, options?: CallOptions): Promise<string>;
  /** Anything else: `/version`, a SelfSubjectAccessReview. */
  request(method: string, path: string, body?: unknown, options?: CallOptions): Promise<unknown>;
}

export type KubeApiOptions = ConnectionOptions & TransportOptions;

/** Connects when first asked. Throws a ConnectionError where there is no cluster to be found. */
export async function kubeApi(options: KubeApiOptions = {}): Promise<KubeApi> {
  return kubeApiOn(await connectionTo(options), options);
}

export function kubeApiOn(connection: Connection, options: TransportOptions = {}): KubeApi {
  const transport = new Transport(connection, options);
  const never = new AbortController().signal;
  const waiting = new Set<() => void>();

  const send = async (call: Call, { signal = never, timeoutMs = 30_000 }: CallOptions): Promise<TransportAnswer> => {
    const { body, contentType = "application/json" } = call;
    const headers = {
      accept: "application/json, */*",
      "user-agent": `headworks/${packageVersion}`,
      ...(body !== undefined && { "content-type": contentType }),
    };
    const answer = await transport.send({
      method: call.method,
      path: call.path,
      headers,
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal,
      headTimeoutMs: timeoutMs,
      words: call.words,
    });
    if (answer.status < 500 && answer.status !== 429) for (const wake of waiting) wake();
    if (answer.status < 200 || answer.status >= 300) throw await errorOf(answer, call.words, signal);
    return answer;
  };
  const ask = async (call: Call, options: CallOptions): Promise<unknown> => {
    const answer = await send(call, options);
    const text = await textOf(answer, call.words, options.signal ?? never);
    return text === "" ? undefined : parsed(text, call.words);
  };
  const write = async (
    verb: string,
    type: ResourceType,
    ref: ObjectRef,
    call: Omit<Call, "path" | "words">,
    options: ApplyOptions,
    isNew = false,
  ) => {
    const { fieldManager = "headworks", subresource, dryRun, force } = options;
    const path = pathOf(type, ref.namespace, isNew ? undefined : ref.name, subresource);
    const query = queryOf({ fieldManager, dryRun: dryRun ? "All" : undefined, force: force ? "true" : undefined });
    const answer = await ask({ ...call, path: `${path}${query}`, words: wordsOf(verb, type, ref, subresource) }, options);
    return answer as KubeObject;
  };

  return {
    connection,
    answered: (signal) =>
      new Promise((resolve) => {
        const wake = () => {
          waiting.delete(wake);
          signal.removeEventListener("abort", wake);
          resolve();
        };
        waiting.add(wake);
        signal.addEventListener("abort", wake, { once: true });
        if (signal.aborted) wake();
      }),
    async discover(apiVersion, options = {}) {
      const path = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
      try {
        const answer = await ask({ method: "GET", path, words: `discover ${apiVersion}` }, options);
        return servedTypes(apiVersion, answer as ApiResourceList);
      } catch (error) {
        if (error instanceof KubeError && error.fault === "missing") return [];
        throw error;
      }
    },
    async list(type, options = {}) {
      const { namespace, limit, continue: from, resourceVersion, labelSelector, fieldSelector } = options;
      const query = queryOf({ limit, continue: from, resourceVersion, labelSelector, fieldSelector });
      const words = wordsOf("list", type, { namespace });
      const answer = (await ask({ method: "GET", path: `${pathOf(type, namespace)}${query}`, words }, options)) as ListAnswer | undefined;
      if (!Array.isArray(answer?.items)) throw new KubeError("unreachable", "answered with no list", { request: words });
      const { resourceVersion: version = "", continue: next } = answer.metadata ?? {};
      const { group, kind } = type;
      const apiVersion = group === "" ? type.version : `${group}/${type.version}`;
      return { items: answer.items.map((item) => ({ apiVersion, kind, ...item })), resourceVersion: version, continue: next || undefined };
    },
    async *watch(type, { namespace, resourceVersion, labelSelector, fieldSelector, signal, onOpen }) {
      const timeoutSeconds = transport.isSilenceNoticed ? 300 + Math.floor(Math.random() * 300) : unwatchedSeconds;
      const selection = { resourceVersion, labelSelector, fieldSelector };
      const query = queryOf({ watch: "true", allowWatchBookmarks: "true", timeoutSeconds, ...selection });
      const words = wordsOf("watch", type, { namespace });
      const answer = await send({ method: "GET", path: `${pathOf(type, namespace)}${query}`, words }, { signal });
      onOpen?.();
      const silenceMs = transport.isSilenceNoticed ? undefined : (timeoutSeconds + 15) * 1000;
      for await (const line of jsonLines(answer, words, signal, silenceMs)) yield eventOf(line, words);
    },
    async get(type, ref, options = {}) {
      const call = { method: "GET", path: pathOf(type, ref.namespace, ref.name), words: wordsOf("get", type, ref) };
      return (await ask(call, options)) as KubeObject;
    },
    create: (type, object, options = {}) => write("create", type, object.metadata, { method: "POST", body: object }, options, true),
    update: (type, object, options = {}) => write("update", type, object.metadata, { method: "PUT", body: object }, options),
    patch: (type, ref, patch, options = {}) =>
      write("patch", type, ref, { method: "PATCH", body: patch, contentType: "application/merge-patch+json" }, options),
    apply: (type, object, options = {}) =>
      write("apply", type, object.metadata, { method: "PATCH", body: object, contentType: "application/apply-patch+yaml" }, options),
    async delete(type, ref, options = {}) {
      const { preconditions } = options;
      const body = preconditions && { apiVersion: "v1", kind: "DeleteOptions", preconditions };
      const path = pathOf(type, ref.namespace, ref.name);
      await ask({ method: "DELETE", path, ...(body && { body }), words: wordsOf("delete", type, ref) }, options);
    },
    async probe(path, options = {}) {
      const words = `get ${path}`;
      return textOf(await send({ method: "GET", path, words }, options), words, options.signal ?? never);
    },
    request: (method, path, body, options = {}) =>
      ask({ method, path, ...(body !== undefined && { body }), words: `${method} ${path.replace(/\?.*/, "")}` }, options),
    [Symbol.dispose]: () => transport[Symbol.dispose](),
  };
}

/** Where nobody notices silence, the server is asked to end a watch soon, so that its silence is noticed then. */
const unwatchedSeconds = 30;

interface Call {
  readonly method: string;
  readonly path: string;
  readonly body?: unknown;
  readonly contentType?: string;
  readonly words: string;
}

interface ListAnswer {
  readonly metadata?: { readonly resourceVersion?: string; readonly continue?: string };
  readonly items: readonly KubeObject[];
}

interface ApiResourceList {
  readonly resources?: readonly {
    readonly name: string;
    readonly kind: string;
    readonly namespaced: boolean;
    readonly verbs?: readonly string[];
  }[];
}

function servedTypes(apiVersion: string, { resources = [] }: ApiResourceList): ServedType[] {
  const slash = apiVersion.indexOf("/");
  const group = slash === -1 ? "" : apiVersion.slice(0, slash);
  const version = apiVersion.slice(slash + 1);
  const names = new Set(resources.map(({ name }) => name));
  return resources
    .filter(({ name }) => !name.includes("/"))
    .map(({ name, kind, namespaced, verbs = [] }) => ({
      group,
      version,
      plural: name,
      kind,
      isNamespaced: namespaced,
      verbs,
      hasStatus: names.has(`${name}/status`),
    }));
}

/** `list upstreams.gloo.solo.io in gloo-system`, `get services default/kubernetes`. */
function wordsOf(
  verb: string,
  type: ResourceType,
  { namespace, name }: { namespace?: string | undefined; name?: string },
  subresource = "",
): string {
  const what = `${resourceName(type)}${subresource && `/${subresource}`}`;
  if (name !== undefined) return `${verb} ${what} ${namespace ? `${namespace}/` : ""}${name}`;
  return `${verb} ${what}${namespace ? ` in ${namespace}` : ""}`;
}

function queryOf(parameters: Readonly<Record<string, string | number | undefined>>): string {
  const set = Object.entries(parameters).flatMap(([name, value]) =>
    value === undefined || value === "" ? [] : [`${name}=${encodeURIComponent(value)}`],
  );
  return set.length === 0 ? "" : `?${set.join("&")}`;
}

function eventOf(line: string, words: string): WatchEvent {
  const { type, object } = parsed(line, words) as { readonly type?: string; readonly object?: KubeObject };
  if (type === "ERROR") throw errorOfStatus((object ?? {}) as Parameters<typeof errorOfStatus>[0], words);
  if (typeof object?.metadata !== "object" || (type !== "ADDED" && type !== "MODIFIED" && type !== "DELETED" && type !== "BOOKMARK"))
    throw new KubeError("unreachable", `an event that is none: ${line.slice(0, 100)}`, { request: words });
  return { type, object };
}

function parsed(text: string, words: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new KubeError("unreachable", `answered with no JSON: ${text.slice(0, 100)}`, { request: words, cause });
  }
}
