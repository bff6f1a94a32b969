// What is wrong with files as such: the text is no YAML, an object has no name. What is wrong with resources is judged with them.
import { type Problem, problemKey } from "../model/problem.ts";
import type { SourceBatch } from "../plugin/source.ts";

/** What batches say of the files that they have read. */
export interface FileProblemChanges {
  readonly has: readonly Problem[];
  readonly mended: readonly Problem[];
}

export class FileProblems {
  readonly #byFile = new Map<string, readonly Problem[]>();

  get all(): readonly Problem[] {
    return [...this.#byFile.values()].flat();
  }

  /** Files of which something cannot be read, so that nobody knows what is in it. */
  get unreadable(): readonly string[] {
    const isSo = ({ severity, reason }: Problem) => severity === "error" && reason !== "DuplicateResource";
    return [...this.#byFile].flatMap(([file, problems]) => (problems.some(isSo) ? [file] : []));
  }

  note(batches: readonly SourceBatch[]): FileProblemChanges {
    const has: Problem[] = [];
    const mended: Problem[] = [];
    for (const [file, problems] of batches.flatMap((batch) => [...(batch.problems ?? [])])) {
      has.push(...problems);
      const keys = new Set(problems.map(problemKey));
      for (const each of this.#byFile.get(file) ?? []) if (!keys.has(problemKey(each))) mended.push(each);
      if (problems.length === 0) this.#byFile.delete(file);
      else this.#byFile.set(file, problems);
    }
    return { has, mended };
  }
}
