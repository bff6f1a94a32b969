// What a user asks for, in our own words: which messages are changed, and how. program.ts makes of it what the data planes execute.

/** A change of a message by templates. */
export interface Transformation {
  /** Variables taken out of headers and the body. With `advanced`, they are read by `extraction("name")`. */
  readonly extractors: readonly Extractor[];
  /** Name to template; an empty result removes the header. */
  readonly headers: readonly (readonly [name: string, template: string])[];
  readonly append: readonly (readonly [name: string, template: string])[];
  readonly remove: readonly string[];
  readonly body:
    | { readonly kind: "passthrough" }
    | { readonly kind: "keep" }
    | { readonly kind: "mergeExtractors" }
    | { readonly kind: "mergeKeys"; readonly keys: readonly MergedKey[] }
    | { readonly kind: "template"; readonly template: string };
  readonly metadata?: readonly MetadataValue[];
  readonly parsesBody: boolean;
  readonly ignoresBadBody: boolean;
  readonly advanced: boolean;
  /** Texts are printed as they stand in JSON. */
  readonly escapes?: boolean;
}

export interface Extractor {
  readonly name: string;
  /** Lower case. Absent: the body. */
  readonly header?: string;
  /** Of the text that is searched; the whole of it when absent. */
  readonly regex?: string;
  readonly subgroup: number;
  /** `extract` when absent. */
  readonly mode?: "extract" | "replaceGroup" | "replaceAll";
  readonly replacement?: string;
}

export interface MergedKey {
  readonly name: string;
  readonly template: string;
  /** An empty result is written, too: as it is no JSON, that is a fault of the message. */
  readonly evenEmpty: boolean;
}

export interface MetadataValue {
  readonly namespace: string;
  readonly key: string;
  readonly template: string;
  readonly isJson: boolean;
}

/** The body becomes a JSON object of headers and body. */
export interface Envelope {
  readonly kind: "envelope";
  /** With method, path and query. */
  readonly tellsRequest: boolean;
}

export type Change = Transformation | Envelope;

/** What happens at one stage: the first entry whose matcher fits counts. */
export interface StagePlan {
  readonly entries: readonly Entry[];
  /** Tried on the response when the request chose no change of it. */
  readonly responses?: readonly ResponseEntry[];
  readonly logs?: boolean;
}

export interface Entry {
  readonly match?: RequestMatch;
  /** The route is chosen again after the request was changed. */
  readonly clearsRoute?: boolean;
  readonly request?: Change;
  readonly response?: Change;
}

export interface ResponseEntry {
  readonly headers: readonly HeaderMatch[];
  readonly response: Change;
}

export interface RequestMatch {
  readonly path?: { readonly kind: "prefix" | "exact" | "regex"; readonly value: string; readonly ignoresCase: boolean };
  readonly methods: readonly string[];
  readonly headers: readonly HeaderMatch[];
  readonly query: readonly ValueMatch[];
}

export interface ValueMatch {
  readonly name: string;
  readonly kind: "exact" | "regex" | "present";
  readonly value: string;
}

export interface HeaderMatch extends ValueMatch {
  readonly isInverted: boolean;
}
