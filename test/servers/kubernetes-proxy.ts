// A bad network between Headworks and an API server: answers that are not its own, slowness, streams that are cut. Plain HTTP/1.1, as
// `kubectl proxy` speaks it; requests go on with the admin's token.

import { readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { Agent, createServer as createSecureServer, request as httpsRequest } from "node:https";
import type { AddressInfo } from "node:net";
import type { RunningKubernetes } from "./kubernetes.ts";

export interface KubeProxy extends AsyncDisposable {
  readonly kubeconfigPath: string;
  /** What it does with requests from now on. */
  behaviour: Behaviour;
  /** `GET /api/v1/services`, in order. */
  readonly requests: string[];
  /** Cuts off all that is under way. */
  cut(): void;
}

export interface Behaviour {
  /** Answers itself; undefined: passes the request on. */
  readonly answer?: (request: IncomingMessage) => { status: number; headers?: Record<string, string>; body: string } | undefined;
  /** Before each answer. */
  readonly delayMs?: number;
  /** Of each answer. */
  readonly bytesPerSecond?: number;
  /** Each answer is cut off after so long. */
  readonly cutAfterMs?: number;
}

export interface KubeProxyOptions {
  /** With the certificate of the API server, and HTTP/1.1 all the same. */
  readonly tls?: boolean;
}

export async function startKubeProxy(kubernetes: RunningKubernetes, { tls = false }: KubeProxyOptions = {}): Promise<KubeProxy> {
  const agent = new Agent({ keepAlive: true, ca: readFileSync(kubernetes.caFile) });
  const requests: string[] = [];
  const proxy = { behaviour: {} as Behaviour };
  const pass = (request: IncomingMessage, response: ServerResponse) => {
    const { bytesPerSecond, cutAfterMs } = proxy.behaviour;
    const headers = { ...request.headers, authorization: `Bearer ${kubernetes.adminToken}` };
    const sent = httpsRequest(`${kubernetes.url}${request.url}`, { method: request.method, headers, agent }, (answer) => {
      response.writeHead(answer.statusCode ?? 502, answer.headers);
      response.flushHeaders();
      const cut = cutAfterMs === undefined ? undefined : setTimeout(() => response.destroy(), cutAfterMs);
      response.on("close", () => {
        clearTimeout(cut);
        answer.destroy();
      });
      answer.on("error", () => response.destroy());
      answer.on("end", () => response.end());
      answer.on("data", (chunk: Buffer) => {
        response.write(chunk);
        if (bytesPerSecond === undefined) return;
        answer.pause();
        setTimeout(() => answer.resume(), (chunk.length / bytesPerSecond) * 1000);
      });
    });
    sent.on("error", () => response.destroy());
    response.on("close", () => sent.destroy());
    request.pipe(sent);
  };
  const take = (request: IncomingMessage, response: ServerResponse) => {
    requests.push(`${request.method} ${request.url}`);
    const { answer, delayMs = 0 } = proxy.behaviour;
    setTimeout(() => {
      const own = answer?.(request);
      if (!own) return pass(request, response);
      response.writeHead(own.status, own.headers);
      response.end(own.body);
    }, delayMs);
  };
  const key = () => readFileSync(kubernetes.caFile.replace(/crt$/, "key"));
  const server = tls ? createSecureServer({ cert: readFileSync(kubernetes.caFile), key: key() }, take) : createServer(take);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    kubeconfigPath: kubernetes.kubeconfig({ server: `${tls ? "https" : "http"}://127.0.0.1:${port}` }),
    requests,
    cut: () => server.closeAllConnections(),
    get behaviour() {
      return proxy.behaviour;
    },
    set behaviour(behaviour) {
      proxy.behaviour = behaviour;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      agent.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
