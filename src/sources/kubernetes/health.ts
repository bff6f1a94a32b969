// How the cluster is doing, in words: which questions fail since when, and what that means for what is served.
import type { KubeError } from "../../lib/kubernetes/error.ts";
import { type Problem, problem } from "../../model/problem.ts";
import type { SourceHealth } from "../../plugin/source.ts";

interface Fault {
  readonly error: KubeError;
  /** By the clock of the machine, for people. */
  readonly since: Date;
  /** By the one that nobody sets. */
  readonly begunMs: number;
}

/** A fault is told when it lasts: connections end and begin anew all the time. */
const tellAfterMs = 1000;

export class Health {
  readonly #name: string;
  readonly #onChange: () => void;
  readonly #faults = new Map<string, Fault>();
  readonly #held = new Map<string, number>();
  readonly #gone = new Set<string>();
  readonly #timers = new Map<string, NodeJS.Timeout>();
  #hasDefinitions = true;
  #standIns = 0;
  #isStarting = true;
  #state: SourceHealth["state"] = "starting";
  #since = new Date();

  /** `name` of the cluster, for messages. */
  constructor(name: string, onChange: () => void) {
    this.#name = name;
    this.#onChange = onChange;
  }

  /** `question` is what fails: `upstreams.gloo.solo.io in default`. Undefined: it works now. */
  note(question: string, error: KubeError | undefined): void {
    const before = this.#faults.get(question);
    if (error === undefined) {
      if (!this.#faults.delete(question)) return;
      clearTimeout(this.#timers.get(question));
      this.#timers.delete(question);
      this.#changed();
      return;
    }
    this.#faults.set(question, { error, since: before?.since ?? new Date(), begunMs: before?.begunMs ?? performance.now() });
    if (before === undefined)
      this.#timers.set(
        question,
        setTimeout(() => this.#changed(), tellAfterMs),
      );
    else if (before.error.fault !== error.fault) this.#changed();
  }

  noteHeld(question: string, missing: number): void {
    if (missing > 0) this.#held.set(question, missing);
    else this.#held.delete(question);
    this.#changed();
  }

  /** A kind that was served is not any more. */
  noteGone(kind: string, isGone: boolean): void {
    if (isGone === this.#gone.has(kind)) return;
    if (isGone) this.#gone.add(kind);
    else this.#gone.delete(kind);
    this.#changed();
  }

  noteDefinitions(hasSome: boolean): void {
    if (hasSome === this.#hasDefinitions) return;
    this.#hasDefinitions = hasSome;
    this.#changed();
  }

  noteStandIns(count: number): void {
    this.#standIns = count;
  }

  started(): void {
    this.#isStarting = false;
    this.#changed();
  }

  get now(): SourceHealth {
    return { state: this.#state, since: this.#since.toISOString(), faults: this.problems.map(({ message }) => message) };
  }

  get problems(): Problem[] {
    const told = this.#told();
    return [
      ...this.#unreachable(told.filter(({ error }) => !isAnswer(error))),
      ...this.#unanswered(told.filter(({ error }) => isAnswer(error) && (error.isTransient || error.fault === "expired"))),
      ...told.filter(({ error }) => error.fault === "denied").map(({ error }) => this.#denied(error)),
      ...told.filter(({ error }) => error.fault === "invalid" || error.fault === "conflict").map(({ error }) => this.#refused(error)),
      ...[...this.#gone].map((kind) => this.#kindGone(kind)),
      ...[...this.#held].map(([question, missing]) => this.#deletionHeld(question, missing)),
      ...(this.#hasDefinitions ? [] : [this.#noDefinitions()]),
    ];
  }

  /** Those that last. */
  #told(): Fault[] {
    return [...this.#faults.values()].filter(({ begunMs }) => performance.now() - begunMs >= tellAfterMs * 0.9);
  }

  /** One finding for all questions: they share their cause. */
  #unreachable(faults: readonly Fault[]): Problem[] {
    const [first] = faults.toSorted((a, b) => a.begunMs - b.begunMs);
    if (!first) return [];
    const since = first.since.toISOString().replace(/\.\d+/, "");
    const serving = this.#serving();
    const message = `the Kubernetes API at ${this.#name} cannot be used since ${since} (${first.error.message}); ${serving}, and it is asked again all the time`;
    return [problem("warning", undefined, "KubernetesUnreachable", message)];
  }

  #serving(): string {
    if (this.#standIns > 0) return "what was in service before the start is served";
    return this.#isStarting ? "nothing was read of it yet" : "what was read stays in service";
  }

  /** It is there, and cannot answer: one kind whose conversion fails, or all of them. */
  #unanswered(faults: readonly Fault[]): Problem[] {
    const [first] = faults.toSorted((a, b) => a.begunMs - b.begunMs);
    if (!first) return [];
    const others = faults.length > 1 ? `, and ${faults.length - 1} more questions` : "";
    const message = `the Kubernetes API at ${this.#name} cannot answer: ${first.error.message}${others}; what was read of it stays in service`;
    return [problem("warning", undefined, "KubernetesUnreachable", message)];
  }

  #denied(error: KubeError): Problem {
    return problem("error", undefined, "KubernetesDenied", `${error.message}; what was read of it stays in service`, {
      hint: error.status === 401 ? "the token or certificate is not accepted" : "add the verb to the role; it is noticed by itself",
    });
  }

  #refused(error: KubeError): Problem {
    return problem("error", undefined, "KubernetesUnreachable", `${error.message}; what was read of it stays in service`);
  }

  #kindGone(kind: string): Problem {
    return problem(
      "warning",
      undefined,
      "KubernetesKindMissing",
      `the cluster has no ${kind} any more; what was in service of them stays`,
      {
        hint: "install the definition again",
      },
    );
  }

  #deletionHeld(question: string, missing: number): Problem {
    const message = `${missing} of ${question} are missing in the cluster, most of all there were; they stay in service until a second look`;
    return problem("warning", undefined, "KubernetesDeletionHeld", message);
  }

  #noDefinitions(): Problem {
    return problem(
      "warning",
      undefined,
      "KubernetesWithoutDefinitions",
      `the cluster at ${this.#name} has none of the kinds of gloo.solo.io`,
      {
        hint: "apply deploy/crds",
      },
    );
  }

  #changed(): void {
    const state = this.#isStarting ? "starting" : this.#stateNow();
    if (state !== this.#state) this.#since = new Date();
    this.#state = state;
    this.#onChange();
  }

  #stateNow(): SourceHealth["state"] {
    const { problems } = this;
    if (problems.length === 0) return "following";
    return this.#told().some(({ error }) => !isAnswer(error)) ? "unreachable" : "partly";
  }

  stop(): void {
    for (const timer of this.#timers.values()) clearTimeout(timer);
  }
}

/** Somebody has answered, if only to complain. */
function isAnswer({ status }: KubeError): boolean {
  return status > 0;
}
