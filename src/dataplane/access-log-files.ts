// Where access logs go: the standard streams and files.

import { createWriteStream, type WriteStream } from "node:fs";

/** A disk that does not keep up costs log lines, not memory. */
const mostUnwritten = 16_777_216;

export class AccessLogFiles {
  readonly #streams = new Map<string, WriteStream>();
  readonly #onError: (message: string) => void;

  constructor(onError: (message: string) => void) {
    this.#onError = onError;
  }

  write(path: string, line: string): void {
    if (path === "/dev/stdout") process.stdout.write(line);
    else if (path === "/dev/stderr") process.stderr.write(line);
    else {
      const stream = this.#streamOf(path);
      if (stream.writableLength < mostUnwritten) stream.write(line, "latin1");
    }
  }

  #streamOf(path: string): WriteStream {
    let stream = this.#streams.get(path);
    if (stream === undefined) {
      stream = createWriteStream(path, { flags: "a" });
      stream.on("error", (error) => this.#onError(`access log ${path}: ${error.message}`));
      this.#streams.set(path, stream);
    }
    return stream;
  }

  /** All that was written is on the disk. */
  async close(): Promise<void> {
    await Promise.all([...this.#streams.values()].map((stream) => new Promise<void>((resolve) => stream.end(() => resolve()))));
    this.#streams.clear();
  }
}
