// Servers that decide about requests (authorization, rate limits, keys) and give no answer: said when it begins and when it is over, however many
// requests there are meanwhile. What becomes of the requests is the filters' matter.

import { type EpisodeLog, Episodes } from "./episodes.ts";

export interface Server {
  /** `authorization server`. */
  readonly what: string;
  readonly cluster: string;
  /** What becomes of requests that are to be decided. */
  readonly meanwhile: string;
}

export class Outages {
  readonly #episodes: Episodes;

  constructor(log: EpisodeLog, quietMs?: number) {
    this.#episodes = new Episodes(log, quietMs);
  }

  note(server: Server, hasAnswered: boolean): void {
    const key = `${server.what} ${server.cluster}`;
    if (hasAnswered) this.#episodes.rests(key, wordsOf(server));
    else this.#episodes.happens(key, wordsOf(server));
  }
}

const wordsOf = ({ what, cluster, meanwhile }: Server) => ({
  begun: () => `the ${what} (cluster ${cluster}) gives no answer, not in time, or an error: ${meanwhile}`,
  over(times: number) {
    const asked = times === 1 ? "one request was" : `${times} requests were`;
    return `the ${what} (cluster ${cluster}) answers again; ${asked} without an answer`;
  },
});
