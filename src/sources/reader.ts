// Collects what is found while one object is read: where in the object (path), where in the text (place), how bad.
import type { Reason } from "../model/catalog.ts";
import { type Place, type Problem, problem, type Severity } from "../model/problem.ts";
import type { ResourceKey } from "../model/ref.ts";
import { formatPath, type Segment } from "./field-path.ts";
import type { Span } from "./yaml-node.ts";

/** The place of a span in its text; undefined for trees that did not come from a text. */
export type Locator = (span: Span) => Place | undefined;

export class Reader {
  readonly problems: Problem[] = [];
  /** Where we are; pushed and popped by who descends, so that a path costs nothing unless it is printed. */
  readonly path: Segment[] = [];
  readonly resource: ResourceKey | undefined;
  readonly #locate: Locator;
  readonly #unknownFields: Severity;

  /** `unknownFields`: how bad a field is that nothing knows. */
  constructor(resource: ResourceKey | undefined, locate: Locator, unknownFields: Severity = "error") {
    this.resource = resource;
    this.#locate = locate;
    this.#unknownFields = unknownFields;
  }

  error(reason: Reason, message: string, span: Span, hint?: string): void {
    this.#add("error", reason, message, span, hint);
  }

  warn(reason: Reason, message: string, span: Span, hint?: string): void {
    this.#add("warning", reason, message, span, hint);
  }

  unknownField(message: string, span: Span, hint?: string): void {
    this.#add(this.#unknownFields, "UnknownField", message, span, hint);
  }

  get hasErrors(): boolean {
    return this.problems.some((each) => each.severity === "error");
  }

  /** The nearest two named steps of where we are, for messages: `routeAction.single`; undefined at the top. */
  get here(): string | undefined {
    let from = this.path.length;
    for (let names = 0; from > 0 && names < 2; from--) if (typeof this.path[from - 1] === "string") names++;
    return this.path.length === 0 ? undefined : formatPath(this.path.slice(from));
  }

  #add(severity: Severity, reason: Reason, message: string, span: Span, hint: string | undefined): void {
    const at = this.#locate(span);
    const details = {
      ...(this.path.length > 0 && { path: formatPath(this.path) }),
      ...(at && { at }),
      ...(hint !== undefined && { hint }),
    };
    this.problems.push(problem(severity, this.resource, reason, message, details));
  }
}
