// Whether a client sends its request too slowly. Where the configuration has a time for requests, that is it; otherwise a body needs a pace.

import { Deadline } from "../deadline.ts";

/** This long without enough bytes ends the request. */
export const slowBodyMs = 30_000;
export const slowBodyBytes = 240 * (slowBodyMs / 1_000);

export class SlowBodyWatch {
  readonly #deadline: Deadline;
  readonly #hasOwnTime: boolean;
  readonly #hasOwnIdle: boolean;
  readonly #onSlow: () => void;
  #sinceMark = 0;
  #isPaused = false;

  /** @param hasOwnIdle the configuration says how long a stream may be idle, and that is watched elsewhere */
  constructor(requestTimeoutMs: number, hasOwnIdle: boolean, onSlow: () => void) {
    this.#hasOwnTime = requestTimeoutMs !== Number.POSITIVE_INFINITY;
    this.#hasOwnIdle = hasOwnIdle;
    this.#onSlow = onSlow;
    this.#deadline = new Deadline(() => this.#onDeadline());
    this.#deadline.set(this.#hasOwnTime ? requestTimeoutMs : slowBodyMs);
  }

  add(bytes: number): void {
    this.#sinceMark += bytes;
  }

  pause(): void {
    this.#isPaused = true;
  }

  /** Whoever was held back by a slow upstream was not slow himself. */
  resume(): void {
    this.#isPaused = false;
    this.#sinceMark = slowBodyBytes;
  }

  #onDeadline(): void {
    const isSlow = this.#hasOwnTime || (!this.#isPaused && !this.#hasOwnIdle && this.#sinceMark < slowBodyBytes);
    this.#sinceMark = 0;
    if (isSlow) this.#onSlow();
    else this.#deadline.set(slowBodyMs);
  }

  close(): void {
    this.#deadline.close();
  }
}
