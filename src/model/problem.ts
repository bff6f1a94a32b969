// One finding about a user's configuration. Users' mistakes are Problems; our own faults are thrown.
import { catalog, type Reason } from "./catalog.ts";
import type { ResourceKey } from "./ref.ts";

/** `error`: the resource, or the part at `path`, is not put in service. `warning`: it is, and the user should know something. */
export type Severity = "error" | "warning";

/** A place in a file, 1-based as editors count. */
export interface Place {
  readonly file: string;
  readonly line: number;
  readonly column: number;
  /** Column after the last character of what is meant, on the same line, where known. */
  readonly endColumn?: number;
}

export interface Problem {
  /** The resource this is about; undefined when a file could not be read far enough to know. */
  readonly resource?: ResourceKey;
  /** Where in the resource, in the spelling of its YAML without the envelope: `virtualHost.routes[2].options.timeout`. */
  readonly path?: string;
  /** Where in a file, when the reporter knows it itself (a syntax error). Otherwise the source is asked, from resource and path. */
  readonly at?: Place;
  readonly severity: Severity;
  /** Stable: `HW1003`. */
  readonly code: string;
  /** Stable CamelCase word: `UnknownField`. */
  readonly reason: string;
  /** What is wrong: one or more sentences without trailing full stop. Gloo's own words where scripts are known to read them. */
  readonly message: string;
  /** What would be right. */
  readonly hint?: string;
  /**
   * What an error puts out of service when there is no last good version to keep; undefined: the resource as a whole. Everything
   * beside it stays. Of `option`: the route is served without it. `route`: it answers as `invalidConfigPolicy` says, or is left
   * out where not even its matcher can be used. `domain`: this name only.
   */
  readonly costs?: Cost;
  /**
   * The cause is another resource (a missing secret, a domain that somebody else has): an earlier version of this resource would
   * not help, so the newest is served as far as it can be.
   */
  readonly elsewhere?: boolean;
  /** Of a warning, which it is in Gloo's terms: an earlier version of this resource is put in service all the same, where one is better. */
  readonly withholds?: boolean;
  /** The resource whose problem this repeats, as Gloo repeats a RouteTable's on its VirtualService. Reports show it there, once. */
  readonly repeats?: ResourceKey;
  /** Further places that the message is about; whoever shows it adds their lines. */
  readonly others?: readonly FieldPlace[];
  /** The words in Gloo's status, where `message` alone is not all of them: `Route Error: ProcessingError. Reason: …`. */
  readonly statusText?: string;
}

/** A field of a resource, as `path` of a problem says it. */
export interface FieldPlace {
  readonly resource: ResourceKey;
  readonly path: string;
}

export type Cost = "nothing" | "option" | "route" | "domain" | "virtualHost" | "filterChain" | "listener";

/** What a problem may carry besides its reason and message. */
export type ProblemDetails = Pick<
  Problem,
  "path" | "at" | "hint" | "costs" | "elsewhere" | "withholds" | "repeats" | "statusText" | "others"
>;

/** True when the newest version of a resource is not put in service: its last good version is, where there is one. */
export function rejects(problems: readonly Problem[]): boolean {
  return problems.some((each) => each.withholds || (each.severity === "error" && !each.elsewhere));
}

/** Collects the findings about one resource. Pure functions take one and write to nothing else. */
export class Report {
  readonly problems: Problem[] = [];
  readonly resource: ResourceKey | undefined;

  constructor(resource: ResourceKey | undefined) {
    this.resource = resource;
  }

  error(reason: Reason, message: string, details: ProblemDetails = {}): void {
    this.problems.push(problem("error", this.resource, reason, message, details));
  }

  warn(reason: Reason, message: string, details: ProblemDetails = {}): void {
    this.problems.push(problem("warning", this.resource, reason, message, details));
  }

  get hasErrors(): boolean {
    return this.problems.some((each) => each.severity === "error");
  }
}

export function problem(
  severity: Severity,
  resource: ResourceKey | undefined,
  reason: Reason,
  message: string,
  details: ProblemDetails = {},
): Problem {
  return { ...(resource && { resource }), severity, code: catalog[reason].code, reason, message, ...details };
}

/** Equal for findings that say the same of a resource. */
export function problemKey({ severity, code, path, message }: Problem): string {
  return `${severity} ${code} ${path ?? ""} ${message}`;
}
