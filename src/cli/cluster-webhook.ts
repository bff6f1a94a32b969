// The admission webhook of a control plane that follows a cluster: its certificate first, then its server.
import { certificates } from "../admission/certificate.ts";
import type { Judging } from "../admission/judge.ts";
import { startWebhook, type WebhookServer } from "../admission/server.ts";
import type { KubeApi } from "../lib/kubernetes/api.ts";
import { type ListenAddress, parseListenAddress } from "../lib/listen-address.ts";
import type { Logger } from "../plugin/upstream-type.ts";
import type { WebhookFlags } from "./cluster-options.ts";
import { CommandError } from "./exit.ts";

export interface WebhookOfCluster {
  readonly api: KubeApi;
  readonly namespace: string;
  readonly flags: WebhookFlags;
  readonly judging: () => Judging;
  readonly log: Logger;
}

/** Undefined where none is wanted. Throws a CommandError. */
export function webhookAddress({ webhook }: WebhookFlags): Extract<ListenAddress, { kind: "tcp" }> | undefined {
  if (webhook === undefined) return undefined;
  const address = parseListenAddress(webhook);
  if (address?.kind !== "tcp") throw new CommandError(`--webhook is host:port, or :port for all interfaces; it is "${webhook}"`);
  return address;
}

export interface ServedWebhook extends AsyncDisposable {
  /**
   * It is not up, and may be in a moment. Where changes wait for its word (failurePolicy Fail), the API server shall find nobody here before
   * it is up. But Envoys are waiting, too, and for them it does not matter: after 10 s it is not waited for.
   */
  readonly isAwaited: boolean;
}

const awaitedMs = 10_000;

/** Serves as soon as there is a certificate. Without it, and when the port is taken, objects are let in unseen, and the log says so. */
export function serveWebhook(address: Extract<ListenAddress, { kind: "tcp" }>, options: WebhookOfCluster): ServedWebhook {
  const { api, namespace, flags, judging, log } = options;
  const { webhookService: service = "headworks", webhookSecret: secret = "headworks-webhook", webhookConfiguration: configuration } = flags;
  const ended = new AbortController();
  const begun = performance.now();
  let server: WebhookServer | undefined;
  const run = async () => {
    for await (const certificate of certificates({ api, namespace, service, secret, configuration, log }, ended.signal)) {
      if (server) server.setCertificate(certificate);
      else {
        server = await startWebhook({ address, certificate, judging, log });
        log.info({ port: server.port }, "the admission webhook is up");
      }
    }
  };
  const running = run().catch((error: unknown) => {
    log.error(
      { error: (error as Error).message },
      "the admission webhook could not be started; objects are let in, and judged when they are served",
    );
  });
  return {
    get isAwaited() {
      return server === undefined && performance.now() - begun < awaitedMs;
    },
    async [Symbol.asyncDispose]() {
      ended.abort();
      await running;
      await server?.[Symbol.asyncDispose]();
    },
  };
}
