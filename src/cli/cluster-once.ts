// A cluster that is read, or written to, by one command: what the API answers in words for whoever typed it.
import type { KubeApi } from "../lib/kubernetes/api.ts";
import { KubeError } from "../lib/kubernetes/error.ts";
import { customKinds } from "../plugin/config.ts";
import type { Plugins } from "../plugin/plugins.ts";
import { kubernetesSource } from "../sources/kubernetes/kubernetes.ts";
import { namespacesOf, openCluster } from "./cluster.ts";
import type { WatchFlags } from "./cluster-options.ts";
import { CommandError, exitCodes } from "./exit.ts";
import type { Opened } from "./where.ts";

/** `onSecretsDenied`: who may not read Secrets gets the rest, after this was called. */
export async function openClusterOnce(flags: WatchFlags, plugins: Plugins, onSecretsDenied?: () => void): Promise<Opened> {
  const api = await openCluster(flags);
  const reading = onSecretsDenied ? withoutSecrets(api, onSecretsDenied) : api;
  return { ...clusterOnce(reading, flags, plugins), [Symbol.dispose]: () => api[Symbol.dispose]() };
}

function withoutSecrets(api: KubeApi, onDenied: () => void): KubeApi {
  return {
    ...api,
    list: async (type, options) => {
      try {
        return await api.list(type, options);
      } catch (error) {
        const isAboutThem = type.group === "" && type.plural === "secrets";
        if (!isAboutThem || !(error instanceof KubeError && error.fault === "denied" && error.status === 403)) throw error;
        onDenied();
        return { items: [], resourceVersion: "", continue: undefined };
      }
    },
  };
}

/** The cluster as a source that can only be read. */
export function clusterOnce(api: KubeApi, flags: WatchFlags, plugins: Plugins): Pick<Opened, "source" | "name"> {
  const namespaces = namespacesOf(api, flags);
  const source = kubernetesSource({ api, ...(namespaces && { namespaces }), customKinds: customKinds(plugins) });
  return { source: { ...source, read: () => inWords(api, () => source.read()) }, name: api.connection.name };
}

/** Runs what asks the cluster; what goes wrong becomes a CommandError. */
export async function inWords<T>(api: KubeApi, ask: () => Promise<T>): Promise<T> {
  try {
    return await ask();
  } catch (error) {
    throw error instanceof KubeError ? commandError(error, api.connection.name) : error;
  }
}

function commandError(error: KubeError, name: string): CommandError {
  const { fault, status, message } = error;
  switch (fault) {
    case "unreachable":
      return new CommandError(`no cluster answers at ${name}: ${message}`, exitCodes.unreachable, "Is it the right --context?");
    case "busy":
      return new CommandError(`the cluster at ${name} cannot answer now: ${message}`, exitCodes.unreachable);
    case "denied":
      // What a webhook says no to is no question of rights, though its answer may be 403.
      if (/admission webhook/.test(message)) return new CommandError(`${name} refused it: ${message}`, exitCodes.refused);
      return status === 401
        ? new CommandError(`${name} does not know who you are: ${message}`, exitCodes.refused, "Log in again, or choose another --context.")
        : new CommandError(
            `you may not do this at ${name}: ${message}`,
            exitCodes.refused,
            "Ask for the right; -n, or --watch-namespaces where there is one, asks for less.",
          );
    case "missing":
      return new CommandError(`${message} (${name})`, exitCodes.findings);
    case "expired":
    case "conflict":
    case "invalid":
      return new CommandError(`${name} refused it: ${message}`, exitCodes.refused);
  }
}
