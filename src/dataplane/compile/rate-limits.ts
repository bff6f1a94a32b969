// `rate_limits` of routes and virtual hosts: what of a request is counted, as descriptors for a rate limit server.

import type { JsonValue } from "@bufbuild/protobuf";
import {
  type RateLimit,
  type RateLimit_Action,
  RateLimit_Action_MetaData_Source as Source,
} from "../../gen/envoy/envoy/config/route/v3/route_components_pb.js";
import type { RateLimitUnit } from "../../gen/envoy/envoy/type/v3/ratelimit_unit_pb.js";
import { type FormatContext, queryParameter } from "../formatter.ts";
import { headerValue } from "../http1/headers.ts";
import { type RequestView, viewHeader } from "../match.ts";
import { wireText } from "../text.ts";
import type { Findings } from "./findings.ts";
import { compileHeaderMatcher, compileQueryMatcher } from "./route-match.ts";

/** What descriptors are made of. */
export type LimitView = FormatContext & { readonly request: RequestView; readonly clusterName: string };

export interface DescriptorEntry {
  readonly key: string;
  readonly value: string;
}

export interface Descriptor {
  readonly entries: readonly DescriptorEntry[];
  readonly limit: { readonly requestsPerUnit: number; readonly unit: RateLimitUnit } | undefined;
}

export interface CompiledRateLimit {
  readonly stage: number;
  /** Undefined: nothing of this request is counted by it. */
  readonly describe: (view: LimitView) => Descriptor | undefined;
}

/** `none`: nothing to say, but the others still count. Undefined: the whole descriptor does not. */
type Describe = (view: LimitView) => DescriptorEntry | "none" | undefined;

export function compileRateLimits(limits: readonly RateLimit[], findings: Findings): readonly CompiledRateLimit[] {
  const compiled: CompiledRateLimit[] = [];
  limits.forEach((limit, index) => {
    const place = findings.at(`rate_limits[${index}]`);
    if (limit.applyOnStreamDone) place.notExecuted("apply_on_stream_done", "; it does not count");
    if (limit.hitsAddend !== undefined) place.notExecuted("hits_addend", "; every request counts once");
    if (limit.limit?.overrideSpecifier.case === "dynamicMetadata") place.notExecuted("limit.dynamic_metadata");
    const actions = limit.actions.map((action, at) => compileAction(action, place.at(`actions[${at}]`)));
    if (limit.applyOnStreamDone || actions.length === 0 || actions.includes(undefined)) return;
    const override = limit.limit?.overrideSpecifier;
    const own = override?.case === "rateLimit" ? override.value : undefined;
    compiled.push({ stage: limit.stage ?? 0, describe: (view) => describe(actions as Describe[], own, view) });
  });
  return compiled;
}

function describe(actions: readonly Describe[], limit: Descriptor["limit"], view: LimitView): Descriptor | undefined {
  const entries: DescriptorEntry[] = [];
  for (const action of actions) {
    const entry = action(view);
    if (entry === undefined) return undefined;
    if (entry !== "none") entries.push(entry);
  }
  return entries.length === 0 ? undefined : { entries, limit };
}

/** `node.cluster` of Gloo's proxies. */
const ownCluster = "gateway";

function compileAction({ actionSpecifier: action }: RateLimit_Action, findings: Findings): Describe | undefined {
  switch (action.case) {
    case "sourceCluster":
      return () => ({ key: "source_cluster", value: ownCluster });
    case "destinationCluster":
      return ({ clusterName }) => ({ key: "destination_cluster", value: clusterName });
    case "remoteAddress":
      return ({ remoteAddress }) => (remoteAddress === "" ? undefined : { key: "remote_address", value: remoteAddress });
    case "requestHeaders": {
      const { headerName, descriptorKey: key, skipIfAbsent } = action.value;
      const name = headerName.toLowerCase();
      return ({ request }) => {
        const value = viewHeader(request, name);
        return value === undefined ? absent(skipIfAbsent) : { key, value };
      };
    }
    case "queryParameters": {
      const { queryParameterName, descriptorKey: key, skipIfAbsent } = action.value;
      const name = wireText(queryParameterName);
      return ({ request }) => {
        const value = queryParameter(request.path, name);
        return value === undefined ? absent(skipIfAbsent) : { key, value: unescaped(value) };
      };
    }
    case "genericKey":
      return entryOf(action.value, "generic_key");
    case "headerValueMatch": {
      const conditions = action.value.headers.map(compileHeaderMatcher);
      return matching(conditions, action.value, entryOf(action.value, "header_match"), findings);
    }
    case "queryParameterValueMatch": {
      const conditions = action.value.queryParameters.map(compileQueryMatcher);
      return matching(conditions, action.value, entryOf(action.value, "query_match"), findings);
    }
    case "metadata":
    case "dynamicMetadata": {
      const { descriptorKey: key, metadataKey, defaultValue } = action.value;
      const isOfRoute = action.case === "metadata" && action.value.source === Source.ROUTE_ENTRY;
      const skips = action.case === "metadata" && action.value.skipIfAbsent;
      const path = (metadataKey?.path ?? []).map(({ segment }) => (segment.case === "key" ? segment.value : ""));
      return (view) => {
        let found: JsonValue | undefined = (isOfRoute ? view.routeMetadata : view.dynamicMetadata)?.[metadataKey?.key ?? ""] as
          | JsonValue
          | undefined;
        for (const step of path) found = isObject(found) ? found[step] : undefined;
        const value = (typeof found === "string" ? found : "") || defaultValue;
        return value === "" ? absent(skips) : { key, value: wireText(value) };
      };
    }
    default:
      findings.notExecuted(action.case === undefined ? "" : action.case, "; the limit does not count");
      return undefined;
  }
}

function unescaped(value: string): string {
  return value.replace(/%([0-9a-fA-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function absent(skips: boolean): "none" | undefined {
  return skips ? "none" : undefined;
}

/** As it is written: Envoy 1.40 puts nothing in it. */
function entryOf(
  { descriptorKey, descriptorValue, defaultValue }: { descriptorKey: string; descriptorValue: string; defaultValue: string },
  byDefault: string,
): Describe {
  const entry = { key: descriptorKey || byDefault, value: wireText(descriptorValue || defaultValue) };
  return () => (entry.value === "" ? undefined : entry);
}

function matching(
  conditions: readonly ({ test(request: RequestView): boolean } | undefined)[],
  { expectMatch = true }: { expectMatch?: boolean | undefined },
  value: Describe,
  findings: Findings,
): Describe | undefined {
  if (conditions.includes(undefined)) {
    findings.notExecuted("", "; the limit does not count");
    return undefined;
  }
  return (view) => (conditions.every((each) => each?.test(view.request)) === expectMatch ? value(view) : undefined);
}

function isObject(value: JsonValue | undefined): value is { [key: string]: JsonValue } {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What a header of the request says about whose it is. */
export function isInternal({ headers }: RequestView): boolean {
  return headerValue(headers, "x-envoy-internal") === "true";
}
