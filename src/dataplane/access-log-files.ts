// Where access logs go: the standard streams and files. Lines are gathered and written together: a write for each line would cost more than the
// line. Text is that of the wire, a character for each byte, and leaves as those bytes. A file that was moved or removed is opened anew, as who rotates
// logs expects; one that cannot be written is tried again; one that nobody writes to is closed.

import { createWriteStream, fstatSync, stat, type WriteStream } from "node:fs";

/** A disk that does not keep up costs log lines, not memory. */
const mostUnwritten = 16_777_216;
/** As Envoy: what is more is written at once. */
const mostGathered = 65_536;
/** Envoy lets lines wait for ten seconds; who looks at a log of one gateway wants to see what happens. */
const flushMs = 100;

export interface AccessLogTimes {
  /** After a fault, until the file is opened again. */
  readonly retryMs: number;
  /** How often a file is looked at: is it still the one behind its name? */
  readonly checkMs: number;
  /** Without a line, until it is closed. */
  readonly idleMs: number;
}

const usual: AccessLogTimes = { retryMs: 1_000, checkMs: 1_000, idleMs: 60_000 };

interface Output {
  write(text: string): void;
  /** All of it is written. */
  close(): Promise<void>;
}

export class AccessLogFiles {
  readonly #outputs = new Map<string, GatheredLines>();
  readonly #onError: (message: string) => void;
  readonly #times: AccessLogTimes;
  #timer: NodeJS.Timeout | undefined;

  constructor(onError: (message: string) => void, times = usual) {
    this.#onError = onError;
    this.#times = times;
  }

  write(path: string, line: string): void {
    let lines = this.#outputs.get(path);
    if (lines === undefined) {
      lines = new GatheredLines(this.#outputOf(path));
      this.#outputs.set(path, lines);
    }
    if (!lines.add(line)) this.#timer ??= setTimeout(this.#flushAll, flushMs).unref();
  }

  readonly #flushAll = (): void => {
    this.#timer = undefined;
    for (const lines of this.#outputs.values()) lines.flush();
  };

  #outputOf(path: string): Output {
    if (path === "/dev/stdout") return new StreamOutput(process.stdout);
    if (path === "/dev/stderr") return new StreamOutput(process.stderr);
    return new FileOutput(path, this.#times, this.#onError);
  }

  /** All that was written is on the disk. */
  async close(): Promise<void> {
    clearTimeout(this.#timer);
    this.#flushAll();
    const all = [...this.#outputs.values()];
    this.#outputs.clear();
    await Promise.all(all.map(({ output }) => output.close()));
  }
}

class GatheredLines {
  readonly output: Output;
  #text = "";

  constructor(output: Output) {
    this.output = output;
  }

  /** True when they were written at once. */
  add(line: string): boolean {
    this.#text += line;
    if (this.#text.length < mostGathered) return false;
    this.flush();
    return true;
  }

  flush(): void {
    const text = this.#text;
    this.#text = "";
    if (text !== "") this.output.write(text);
  }
}

class StreamOutput implements Output {
  readonly #stream: Pick<WriteStream, "write" | "writableLength">;

  constructor(stream: Pick<WriteStream, "write" | "writableLength">) {
    this.#stream = stream;
  }

  write(text: string): void {
    if (this.#stream.writableLength < mostUnwritten) this.#stream.write(Buffer.from(text, "latin1"));
  }

  async close(): Promise<void> {}
}

class FileOutput implements Output {
  readonly #path: string;
  readonly #times: AccessLogTimes;
  readonly #onError: (message: string) => void;
  readonly #idle: NodeJS.Timeout;
  #stream: WriteStream | undefined;
  /** Of the open file; undefined while it is being opened. */
  #file: { readonly dev: number; readonly ino: number } | undefined;
  /** Text that waits until the file was looked at, or can be opened again. */
  #waiting = "";
  #isChecking = false;
  #checkedAt = 0;
  #failedAt = Number.NEGATIVE_INFINITY;
  #isFailing = false;
  readonly #ending = new Set<Promise<void>>();

  constructor(path: string, times: AccessLogTimes, onError: (message: string) => void) {
    this.#path = path;
    this.#times = times;
    this.#onError = onError;
    this.#idle = setTimeout(() => this.#end(), times.idleMs).unref();
  }

  write(text: string): void {
    this.#idle.refresh();
    const isRoom = this.#waiting.length + (this.#stream?.writableLength ?? 0) < mostUnwritten;
    if (isRoom) this.#waiting += text;
    if (this.#isChecking) return;
    if (this.#file !== undefined && performance.now() - this.#checkedAt >= this.#times.checkMs) this.#check();
    else this.#writeWaiting();
  }

  #check(): void {
    this.#isChecking = true;
    stat(this.#path, (error, found) => {
      this.#isChecking = false;
      this.#checkedAt = performance.now();
      const isOther = error?.code === "ENOENT" || (found !== undefined && (found.ino !== this.#file?.ino || found.dev !== this.#file?.dev));
      if (isOther && this.#file !== undefined) this.#end();
      this.#writeWaiting();
    });
  }

  #writeWaiting(): void {
    if (this.#stream === undefined && performance.now() - this.#failedAt < this.#times.retryMs) return;
    const text = this.#waiting;
    if (text === "") return;
    this.#waiting = "";
    this.#stream ??= this.#open();
    this.#stream.write(Buffer.from(text, "latin1"));
  }

  #open(): WriteStream {
    const stream = createWriteStream(this.#path, { flags: "a" });
    stream.on("open", (descriptor) => {
      this.#isFailing = false;
      this.#checkedAt = performance.now();
      if (this.#stream === stream) this.#file = fstatSync(descriptor);
    });
    stream.on("error", (error) => {
      if (this.#stream === stream) this.#forget();
      this.#failedAt = performance.now();
      if (!this.#isFailing) this.#onError(`access log ${this.#path}: ${error.message}; it is tried again, and lines are lost until then`);
      this.#isFailing = true;
    });
    return stream;
  }

  #forget(): void {
    this.#stream = undefined;
    this.#file = undefined;
  }

  /** The next line opens the file anew. */
  #end(): void {
    const stream = this.#stream;
    if (stream === undefined) return;
    this.#forget();
    const ended = new Promise<void>((resolve) => {
      stream.on("close", resolve);
      stream.end();
    }).then(() => void this.#ending.delete(ended));
    this.#ending.add(ended);
  }

  async close(): Promise<void> {
    clearTimeout(this.#idle);
    this.#writeWaiting();
    this.#end();
    await Promise.all(this.#ending);
  }
}
