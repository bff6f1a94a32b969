// Servers that decide about requests (authorization, rate limits, keys) and give no answer: said when it begins and when it is over, however many
// requests there are meanwhile. What becomes of the requests is the filters' matter.

export interface Server {
  /** `authorization server`. */
  readonly what: string;
  readonly cluster: string;
  /** What becomes of requests that are to be decided. */
  readonly meanwhile: string;
}

interface Outage {
  /** Requests that had no answer. */
  unanswered: number;
  /** Runs while there are only answers. */
  over: NodeJS.Timeout | undefined;
}

/** Without a failure, until it is over: a server that fails now and then would fill the log. */
const quietMs = 5_000;

export class Outages {
  readonly #log: (level: "info" | "warn", message: string) => void;
  readonly #quietMs: number;
  readonly #outages = new Map<string, Outage>();

  constructor(log: (level: "info" | "warn", message: string) => void, quiet = quietMs) {
    this.#log = log;
    this.#quietMs = quiet;
  }

  note(server: Server, hasAnswered: boolean): void {
    const key = `${server.what} ${server.cluster}`;
    const outage = this.#outages.get(key);
    if (hasAnswered) {
      if (outage !== undefined) outage.over ??= setTimeout(() => this.#end(key, server, outage), this.#quietMs).unref();
    } else if (outage !== undefined) {
      outage.unanswered++;
      clearTimeout(outage.over);
      outage.over = undefined;
    } else {
      this.#outages.set(key, { unanswered: 1, over: undefined });
      this.#log("warn", `the ${server.what} (cluster ${server.cluster}) gives no answer, not in time, or an error: ${server.meanwhile}`);
    }
  }

  #end(key: string, { what, cluster }: Server, { unanswered }: Outage): void {
    this.#outages.delete(key);
    const asked = unanswered === 1 ? "one request was" : `${unanswered} requests were`;
    this.#log("info", `the ${what} (cluster ${cluster}) answers again; ${asked} without an answer`);
  }
}
