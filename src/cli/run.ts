// `headworks run`: a folder, or a cluster.
import type { ControlPlane } from "../control-plane.ts";
import type { KubeObject } from "../lib/kubernetes/object.ts";
import { letYoungGenerationGrow } from "../lib/young-generation.ts";
import type { WatchFlags, WebhookFlags } from "./cluster-options.ts";
import type { ServedWebhook } from "./cluster-webhook.ts";
import { CommandError } from "./exit.ts";
import { folderInput, type Input, type ServeOptions, serve } from "./serve.ts";

export interface RunOptions extends ServeOptions, WatchFlags, WebhookFlags {
  readonly source?: "files" | "kubernetes";
  readonly readOnly?: boolean;
}

export async function run(folder: string | undefined, options: RunOptions): Promise<number> {
  return await serve(inputOf(folder, options), options);
}

function inputOf(folder: string | undefined, options: RunOptions): Input {
  if (options.source === "kubernetes") {
    if (folder !== undefined) throw new CommandError(`--source kubernetes reads a cluster, and ${folder} is a folder; run one of the two`);
    return clusterInput(options);
  }
  if (folder === undefined) throw new CommandError("which folder? Or a cluster: --source kubernetes");
  return folderInput(folder);
}

function clusterInput(options: RunOptions): Input {
  return async ({ plugins, remembered, log }) => {
    const [{ clusterSource, namespacesOf, openCluster, ownNamespace }, { attend, StoredStatuses }, { serveWebhook, webhookAddress }] =
      await Promise.all([import("./cluster.ts"), import("./cluster-duties.ts"), import("./cluster-webhook.ts")]);
    const webhook = webhookAddress(options);
    const { readOnly } = options;
    const api = await openCluster(options);
    const namespace = ownNamespace(api, options);
    const namespaces = namespacesOf(api, options);
    const name = api.connection.name;
    const objects = new StoredStatuses((kind) => source.typeOf(kind));
    const onObject = readOnly ? undefined : objects.see.bind(objects);
    const source = clusterSource(api, options, { plugins, remembered, log, ...(onObject && { onObject }) });
    let serving: ServedWebhook | undefined;
    return {
      source,
      ...(webhook && { readiness: () => ({ "admission webhook up": serving?.isAwaited === false }) }),
      attend(plane: ControlPlane) {
        void plane.ready.then(letYoungGenerationGrow).catch(() => undefined);
        const duties = new AsyncDisposableStack();
        if (!readOnly) duties.use(attend({ api, plane, objects, namespace, log }));
        const judging = () => ({
          resourceOf: (object: KubeObject) => source.resourceOf(object),
          tryOut: (change: Parameters<ControlPlane["tryOut"]>[1]) => plane.tryOut(source.name, change),
          settings: plane.settings,
        });
        if (webhook) serving = duties.use(serveWebhook(webhook, { api, namespace, flags: options, judging, log }));
        return duties;
      },
      name,
      watching: [namespaces ? `${namespaces.join(", ")} of ${name}` : name],
      close: () => api[Symbol.dispose](),
    };
  };
}
