// Whether a client sends its request too slowly. Where the configuration has a time for requests, that is it; otherwise a body needs a pace.

import type { CompiledHcm } from "../compile/hcm.ts";
import { Deadline } from "../deadline.ts";

/** This long without enough bytes ends the request. */
const slowBodyMs = 30_000;
const slowBodyBytes = 240 * (slowBodyMs / 1_000);

export class SlowBodyWatch {
  readonly #deadline: Deadline;
  readonly #onSlow: () => void;
  #hasOwnTime = false;
  /** The configuration says how long a stream may be idle, and that is watched elsewhere. */
  #hasOwnIdle = false;
  #sinceMark = 0;
  #isPaused = false;

  constructor(onSlow: () => void) {
    this.#onSlow = onSlow;
    this.#deadline = new Deadline(() => this.#onDeadline());
  }

  /** A body begins. */
  start({ requestTimeoutMs, explicitStreamIdle }: CompiledHcm): void {
    this.#hasOwnTime = requestTimeoutMs !== Number.POSITIVE_INFINITY;
    this.#hasOwnIdle = explicitStreamIdle;
    this.#sinceMark = 0;
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

  /** The body is whole, or of no interest any more. */
  stop(): void {
    this.#deadline.clear();
  }

  /** Leaves no timer behind. */
  close(): void {
    this.#deadline.close();
  }

  #onDeadline(): void {
    const isSlow = this.#hasOwnTime || (!this.#isPaused && !this.#hasOwnIdle && this.#sinceMark < slowBodyBytes);
    this.#sinceMark = 0;
    if (isSlow) this.#onSlow();
    else this.#deadline.set(slowBodyMs);
  }
}
