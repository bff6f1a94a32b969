// Where access logs go: the standard streams and files. Lines are gathered and written together: a write for each line would cost more than the
// line. Text is that of the wire, a character for each byte, and leaves as those bytes. A file that was moved or removed is opened anew, as who rotates
// logs expects; one that cannot be written is tried again, whether there are lines or not; one that nobody writes to is closed.

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
  open(): void;
  /** One that cannot be opened is not tried again before there is something to write. */
  giveUp(): void;
  write(text: string): void;
  /** All of it is written. */
  close(): Promise<void>;
}

/** Called when a file cannot be written, and without a reason when it can be again. */
export type OnLogFile = (path: string, failure: string | undefined) => void;

export class AccessLogFiles {
  readonly #outputs = new Map<string, GatheredLines>();
  readonly #onFile: OnLogFile;
  readonly #times: AccessLogTimes;
  #followed: ReadonlySet<string> = new Set();
  #timer: NodeJS.Timeout | undefined;

  constructor(onFile: OnLogFile, times = usual) {
    this.#onFile = onFile;
    this.#times = times;
  }

  /** Opens those that are not open yet, as Envoy does when it gets a listener: what is wrong with one is known before the first request. */
  follow(paths: ReadonlySet<string>): void {
    const before = this.#followed;
    this.#followed = paths;
    for (const path of before) if (!paths.has(path)) this.#outputs.get(path)?.output.giveUp();
    for (const path of paths) if (!before.has(path)) this.#linesOf(path).output.open();
  }

  write(path: string, line: string): void {
    if (!this.#linesOf(path).add(line)) this.#timer ??= setTimeout(this.#flushAll, flushMs).unref();
  }

  #linesOf(path: string): GatheredLines {
    const known = this.#outputs.get(path);
    if (known !== undefined) return known;
    const lines = new GatheredLines(this.#outputOf(path));
    this.#outputs.set(path, lines);
    return lines;
  }

  readonly #flushAll = (): void => {
    this.#timer = undefined;
    for (const lines of this.#outputs.values()) lines.flush();
  };

  #outputOf(path: string): Output {
    if (path === "/dev/stdout") return new StreamOutput(process.stdout);
    if (path === "/dev/stderr") return new StreamOutput(process.stderr);
    return new FileOutput(path, this.#times, (failure) => this.#onFile(path, failure));
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

  open(): void {}
  giveUp(): void {}

  write(text: string): void {
    if (this.#stream.writableLength < mostUnwritten) this.#stream.write(Buffer.from(text, "latin1"));
  }

  async close(): Promise<void> {}
}

class FileOutput implements Output {
  readonly #path: string;
  readonly #times: AccessLogTimes;
  readonly #onState: (failure: string | undefined) => void;
  readonly #idle: NodeJS.Timeout;
  #retry: NodeJS.Timeout | undefined;
  #stream: WriteStream | undefined;
  /** Of the open file; undefined while it is being opened. */
  #file: { readonly dev: number; readonly ino: number } | undefined;
  /** Text that waits until the file was looked at, or can be opened again. */
  #waiting = "";
  #isChecking = false;
  #checkedAt = 0;
  #failedAt = Number.NEGATIVE_INFINITY;
  /** Until the very thing succeeds that failed: a full disk opens files. */
  #failing: "open" | "write" | undefined;
  #isGivenUp = false;
  readonly #ending = new Set<Promise<void>>();

  constructor(path: string, times: AccessLogTimes, onState: (failure: string | undefined) => void) {
    this.#path = path;
    this.#times = times;
    this.#onState = onState;
    this.#idle = setTimeout(() => this.#end(), times.idleMs).unref();
  }

  open(): void {
    this.#isGivenUp = false;
    this.#stream ??= this.#opened();
  }

  giveUp(): void {
    this.#isGivenUp = true;
    this.#failing = undefined;
    clearTimeout(this.#retry);
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
    this.#stream ??= this.#opened();
    this.#stream.write(Buffer.from(text, "latin1"), (error) => {
      if (!error) this.#succeeded("write");
    });
  }

  #opened(): WriteStream {
    const stream = createWriteStream(this.#path, { flags: "a" });
    stream.on("open", (descriptor) => {
      this.#succeeded("open");
      this.#checkedAt = performance.now();
      if (this.#stream === stream) this.#file = fstatSync(descriptor);
    });
    stream.on("error", (error) => {
      if (this.#stream === stream) this.#forget();
      this.#failed(error);
    });
    return stream;
  }

  #failed(error: NodeJS.ErrnoException): void {
    this.#failedAt = performance.now();
    const isNew = this.#failing === undefined;
    this.#failing = error.syscall === "open" ? "open" : "write";
    if (isNew) this.#onState(error.message);
    clearTimeout(this.#retry);
    if (!this.#isGivenUp) this.#retry = setTimeout(() => this.open(), this.#times.retryMs).unref();
  }

  /** What is written has been opened. */
  #succeeded(what: "open" | "write"): void {
    if (this.#failing === undefined || (what === "open" && this.#failing === "write")) return;
    this.#failing = undefined;
    this.#onState(undefined);
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
    this.giveUp();
    this.#writeWaiting();
    this.#end();
    await Promise.all(this.#ending);
  }
}
