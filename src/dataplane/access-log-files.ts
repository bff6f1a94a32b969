// Where access logs go: the standard streams and files. Lines are gathered and written together: a write for each line would cost more than the
// line. Text is that of the wire, a character for each byte, and leaves as those bytes.

import { createWriteStream, type WriteStream } from "node:fs";

/** A disk that does not keep up costs log lines, not memory. */
const mostUnwritten = 16_777_216;
/** As Envoy: what is more is written at once. */
const mostGathered = 65_536;
/** Envoy lets lines wait for ten seconds; who looks at a log of one gateway wants to see what happens. */
const flushMs = 100;

interface Output {
  readonly stream: Pick<WriteStream, "write" | "writableLength">;
  gathered: string;
}

export class AccessLogFiles {
  readonly #outputs = new Map<string, Output>();
  readonly #files: WriteStream[] = [];
  readonly #onError: (message: string) => void;
  #timer: NodeJS.Timeout | undefined;

  constructor(onError: (message: string) => void) {
    this.#onError = onError;
  }

  write(path: string, line: string): void {
    const output = this.#outputs.get(path) ?? this.#open(path);
    output.gathered += line;
    if (output.gathered.length >= mostGathered) flush(output);
    else this.#timer ??= setTimeout(this.#flushAll, flushMs).unref();
  }

  readonly #flushAll = (): void => {
    this.#timer = undefined;
    for (const output of this.#outputs.values()) flush(output);
  };

  #open(path: string): Output {
    const output = { stream: this.#streamOf(path), gathered: "" };
    this.#outputs.set(path, output);
    return output;
  }

  #streamOf(path: string): Output["stream"] {
    if (path === "/dev/stdout") return process.stdout;
    if (path === "/dev/stderr") return process.stderr;
    const stream = createWriteStream(path, { flags: "a" });
    stream.on("error", (error) => this.#onError(`access log ${path}: ${error.message}`));
    this.#files.push(stream);
    return stream;
  }

  /** All that was written is on the disk. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#flushAll();
    this.#outputs.clear();
    await Promise.all(this.#files.splice(0).map((stream) => new Promise<void>((resolve) => stream.end(() => resolve()))));
  }
}

function flush(output: Output): void {
  if (output.gathered === "") return;
  if (output.stream.writableLength < mostUnwritten) output.stream.write(Buffer.from(output.gathered, "latin1"));
  output.gathered = "";
}
