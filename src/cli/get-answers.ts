// Who is asked for resources: a running Headworks, folders that are translated here, or a cluster.
import { readFileSync } from "node:fs";
import { envoyKinds, type ProxyView, type ResourceView } from "../admin/contract.ts";
import type { ApiKind } from "../model/resource.ts";
import { CommandError, exitCodes } from "./exit.ts";
import { loadPlugins } from "./plugins.ts";
import { openOnce, type Where } from "./where.ts";

export interface Answers {
  /** With `isPlain`, secrets within specs as they are, where whoever asks could read them anyway. */
  resources(kind: ApiKind, isPlain: boolean): Promise<readonly ResourceView[]>;
  proxies(): Promise<readonly ProxyView[]>;
  /** By kind: what one proxy is served. */
  proxy(key: string): Promise<Record<string, unknown>>;
}

export interface ServerOptions {
  readonly server: string;
  readonly tokenFile?: string;
}

/** Of everything there, translated here. */
export async function answersOnce(where: Where, config: string | undefined): Promise<Answers> {
  const [{ translateOnce }, views] = await Promise.all([import("../control-plane.ts"), import("../admin/views.ts")]);
  const plugins = await loadPlugins(config);
  using opened = await openOnce(where, plugins);
  const translation = views.oneView(await translateOnce({ source: opened.source, plugins }));
  const secrets = views.secretsOf(translation);
  return {
    resources: async (kind, isPlain) =>
      [...translation.resources.values()]
        .filter((each) => each.kind === kind)
        .map((each) => {
          const view = views.resourceView(each, translation.statuses.get(each.key), secrets);
          return isPlain && each.spec ? { ...view, spec: views.plainSpec(each) } : view;
        }),
    proxies: async () => views.proxyViews(translation),
    proxy: async (key) => {
      const served = [...translation.proxies].find(([each]) => each === key)?.[1] ?? [];
      return Object.fromEntries(
        envoyKinds.map((kind) => [kind, views.envoyResources(served, kind).map((each) => views.redactedEnvoyJson(each, secrets))]),
      );
    },
  };
}

/** Asks a running Headworks for a path of its admin API. Throws a CommandError. */
export function adminApi({ server, tokenFile }: ServerOptions, folderIs = "-f DIR"): (path: string) => Promise<unknown> {
  const base = serverUrl(server);
  const token = tokenFile && readToken(tokenFile);
  return async (path) => {
    const url = new URL(path, base);
    const answer = await fetch(url, { headers: token ? { authorization: `Bearer ${token}` } : {} }).catch((error: Error) => {
      const cause = (error.cause as Error | undefined)?.message ?? error.message;
      throw new CommandError(
        `no Headworks answers at ${server} (${cause})`,
        exitCodes.unreachable,
        `Start one with \`headworks run DIR\`, name another with --server, a folder with ${folderIs}, or a cluster with --source kubernetes.`,
      );
    });
    if (!answer.ok) throw new CommandError(`${url} answered ${answer.status}`, exitCodes.unreachable);
    return await answer.json();
  };
}

export function answersOfServer(options: ServerOptions): Answers {
  // biome-ignore lint/suspicious/noExplicitAny: our own server's answers, typed by admin/contract.ts
  const ask = adminApi(options) as (path: string) => Promise<any>;
  return {
    resources: async (kind) => (await ask(`/api/v1/resources?kind=${kind}`)).items,
    proxies: async () => (await ask("/api/v1/proxies")).proxies,
    proxy: async (key) => {
      const pages = envoyKinds.map(async (kind) => {
        const { resources } = await ask(`/api/v1/proxies/${encodeURIComponent(key)}/${kind}`);
        return [kind, resources.map((each: { resource: unknown }) => each.resource)] as const;
      });
      return Object.fromEntries(await Promise.all(pages));
    },
  };
}

/** `127.0.0.1:9091` is what `run --admin` takes, so it is taken here too. */
function serverUrl(text: string): string {
  const url = /^https?:\/\//.test(text) ? text : `http://${text}`;
  if (URL.canParse(url)) return url;
  throw new CommandError(`--server is the address of an admin API, such as http://127.0.0.1:9091; it is "${text}"`);
}

function readToken(file: string): string {
  try {
    return readFileSync(file, "utf8").trim();
  } catch (error) {
    throw new CommandError(`--token-file names ${file}, which cannot be read: ${(error as Error).message}`);
  }
}
