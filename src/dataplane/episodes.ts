// What goes on for a while and is said twice in the log: when it begins, and when it is over, however often it happens meanwhile.

export type EpisodeLog = (level: "info" | "warn", message: string) => void;

export interface EpisodeWords {
  begun(): string;
  /** @param times that it happened */
  over(times: number): string;
}

interface Episode {
  times: number;
  /** Runs while all is well. */
  end: NodeJS.Timeout | undefined;
}

/** Without it happening, until it is over: what happens now and then would fill the log. */
const usualQuietMs = 5_000;

export class Episodes {
  readonly #log: EpisodeLog;
  readonly #quietMs: number;
  readonly #episodes = new Map<string, Episode>();

  constructor(log: EpisodeLog, quietMs = usualQuietMs) {
    this.#log = log;
    this.#quietMs = quietMs;
  }

  happens(key: string, words: EpisodeWords, times = 1): void {
    const episode = this.#episodes.get(key);
    if (episode === undefined) {
      this.#episodes.set(key, { times, end: undefined });
      this.#log("warn", words.begun());
      return;
    }
    episode.times += times;
    clearTimeout(episode.end);
    episode.end = undefined;
  }

  /** All is well, this time. */
  rests(key: string, words: EpisodeWords): void {
    const episode = this.#episodes.get(key);
    if (episode !== undefined) episode.end ??= setTimeout(() => this.#end(key, episode, words), this.#quietMs).unref();
  }

  #end(key: string, { times }: Episode, words: EpisodeWords): void {
    this.#episodes.delete(key);
    this.#log("info", words.over(times));
  }
}
