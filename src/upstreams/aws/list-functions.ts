// All Lambda functions of a region, as AWS lists them: page by page, each version of each function. Bounded: the list is AWS's, or that
// of whoever stands in its place.
import { create } from "@bufbuild/protobuf";
import { type LambdaFunctionSpec, LambdaFunctionSpecSchema } from "../../gen/gloo/gloo/projects/gloo/api/v1/options/aws/aws_pb.js";
import { type AwsCall, AwsError, callAws } from "../../lib/aws/client.ts";

export interface ListedFunctions {
  /** By logical name: `quote`, `quote:3`. */
  readonly functions: readonly LambdaFunctionSpec[];
  /** Names that no route could use, for the user. */
  readonly leftOut: readonly string[];
  readonly pages: number;
}

export interface ListLimits {
  readonly maxPages: number;
  readonly maxFunctions: number;
}

/** AWS gives 50 functions a page. */
export const listLimits: ListLimits = { maxPages: 400, maxFunctions: 10_000 };

/** Throws an {@link AwsError}; half of a list is none. */
export async function listFunctions(
  call: Omit<AwsCall, "service" | "method" | "path" | "headers" | "body">,
  { maxPages, maxFunctions }: ListLimits = listLimits,
): Promise<ListedFunctions> {
  const functions = new Map<string, LambdaFunctionSpec>();
  const leftOut: string[] = [];
  const markers = new Set<string>();
  for (let marker = ""; ; ) {
    const query = `FunctionVersion=ALL&MaxItems=50${marker === "" ? "" : `&Marker=${encodeURIComponent(marker)}`}`;
    const page = parsed(await callAws({ ...call, service: "lambda", method: "GET", path: `/2015-03-31/functions/?${query}` }));
    for (const each of page.functions) {
      const found = functionOf(each);
      if (found === undefined) leftOut.push(nameFor(each));
      else if (functions.size < maxFunctions) functions.set(found.logicalName, found);
    }
    if (functions.size >= maxFunctions) leftOut.push(`functions after the first ${maxFunctions}`);
    const isEnd = page.next === "" || functions.size >= maxFunctions;
    if (isEnd) return { functions: sorted(functions), leftOut: leftOut.slice(0, 20), pages: markers.size + 1 };
    if (markers.has(page.next)) throw new AwsError("PagingLoop", 200, "Lambda answers the same page again and again");
    if (markers.size + 1 >= maxPages) throw new AwsError("TooMany", 200, `Lambda has more than ${maxPages} pages of functions`);
    markers.add(page.next);
    marker = page.next;
  }
}

interface Page {
  readonly functions: readonly unknown[];
  readonly next: string;
}

function parsed(text: string): Page {
  const page = jsonOf(text);
  const { Functions: functions, NextMarker: next } = (page ?? {}) as Record<string, unknown>;
  // An answer of another shape is not an account without functions.
  if (!Array.isArray(functions)) throw new AwsError("Unreadable", 200, "Lambda answered something else than a list of functions");
  return { functions, next: typeof next === "string" ? next : "" };
}

function jsonOf(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** Undefined for what is no function that a route could call. */
function functionOf(each: unknown): LambdaFunctionSpec | undefined {
  const { FunctionName: name, Version: version } = (each ?? {}) as Record<string, unknown>;
  if (typeof name !== "string" || !/^[A-Za-z0-9_-]{1,140}$/.test(name)) return undefined;
  if (typeof version !== "string" || !/^(\$LATEST|\d{1,20})$/.test(version)) return undefined;
  // As Gloo names them.
  const logicalName = version === "$LATEST" ? name : `${name}:${version}`;
  return create(LambdaFunctionSpecSchema, { logicalName, lambdaFunctionName: name, qualifier: version });
}

function nameFor(each: unknown): string {
  const { FunctionName: name, Version: version } = (each ?? {}) as Record<string, unknown>;
  return JSON.stringify(`${String(name).slice(0, 100)}:${String(version).slice(0, 30)}`);
}

function sorted(functions: ReadonlyMap<string, LambdaFunctionSpec>): LambdaFunctionSpec[] {
  return [...functions].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, each]) => each);
}
