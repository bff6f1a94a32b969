// Requests without pause while something changes; every one that fails is counted.
import { Agent, request } from "node:http";

export interface LoadResult {
  readonly sent: number;
  readonly failures: readonly string[];
}

export interface Load {
  /** Ends it and waits for the last answers. */
  stop(): Promise<LoadResult>;
  readonly sent: number;
}

/** `expected` judges an answer: undefined when it is right, else what is wrong. */
export function startLoad(
  port: number,
  paths: readonly string[],
  workers: number,
  expected: (path: string, status: number, body: string) => string | undefined,
): Load {
  const agent = new Agent({ keepAlive: true, maxSockets: workers });
  const failures: string[] = [];
  let sent = 0;
  let isStopping = false;
  const work = async (worker: number) => {
    for (let turn = worker; !isStopping; turn++) {
      const path = paths[turn % paths.length] as string;
      sent++;
      const problem = await ask(agent, port, path).then(
        ({ status, body }) => expected(path, status, body),
        (error: Error) => error.message,
      );
      if (problem !== undefined) failures.push(`${path}: ${problem}`);
    }
  };
  const all = Array.from({ length: workers }, (_, worker) => work(worker));
  return {
    get sent() {
      return sent;
    },
    async stop() {
      isStopping = true;
      await Promise.all(all);
      agent.destroy();
      return { sent, failures };
    },
  };
}

function ask(agent: Agent, port: number, path: string): Promise<{ status: number; body: string }> {
  return new Promise((resolve, reject) => {
    const call = request({ agent, host: "127.0.0.1", port, path }, (response) => {
      let body = "";
      response.setEncoding("utf8");
      response.on("data", (chunk) => {
        body += chunk;
      });
      response.on("end", () => resolve({ status: response.statusCode ?? 0, body }));
      response.on("error", reject);
    });
    call.on("error", reject);
    call.end();
  });
}
