// The options of a level → the plan of a stage, and for each part of the plan the field that it comes from.
import type { HeaderMatcher, Matcher } from "../../gen/gloo/gloo/projects/gloo/api/v1/core/matchers/matchers_pb.js";
import type {
  RequestMatch as ApiRequestMatch,
  ResponseMatch as ApiResponseMatch,
  Transformation as ApiTransformation,
  TransformationStages,
  Transformations,
} from "../../gen/gloo/gloo/projects/gloo/api/v1/options/transformation/transformation_pb.js";
import type { TransformationStage } from "../../plugin/scriptFilter.ts";
import { transformationOf } from "../../plugin/transformationTemplate.ts";
import { TemplateFault } from "../../template/ast.ts";
import { within } from "../../template/plan-fault.ts";
import type { Change, Entry, HeaderMatch, RequestMatch, ResponseEntry, StagePlan } from "../../template/transformation.ts";

export interface TransformationOptions {
  readonly transformations?: Transformations | undefined;
  readonly stagedTransformations?: TransformationStages | undefined;
}

/** Requests and responses that some options speak of. */
export interface Source {
  readonly requests: readonly Pick<ApiRequestMatch, "matcher" | "clearRouteCache" | "requestTransformation" | "responseTransformation">[];
  readonly responses: readonly ApiResponseMatch[];
  /** Where the lists are: `stagedTransformations.regular`; the deprecated form is no list. */
  readonly field: string;
  readonly isList: boolean;
  /** Written on the level above. */
  readonly isInherited: boolean;
}

/** In the order in which they count; empty where the options say nothing about the stage. */
export function sourcesOf(
  stage: TransformationStage,
  options: TransformationOptions,
  inherited: TransformationOptions | undefined,
): Source[] {
  const own = ownSource(stage, options);
  if (!options.stagedTransformations?.inheritTransformation || stage === "postRouting" || inherited === undefined) return own ? [own] : [];
  const above = ownSource(stage, inherited);
  return [...(own ? [own] : []), ...(above ? [{ ...above, isInherited: true }] : [])];
}

function ownSource(stage: TransformationStage, { transformations, stagedTransformations }: TransformationOptions): Source | undefined {
  const staged = stagedTransformations?.[stage];
  if (staged) {
    const { requestTransforms, responseTransforms } = staged;
    const field = `stagedTransformations.${stage}`;
    return { requests: requestTransforms, responses: responseTransforms, field, isList: true, isInherited: false };
  }
  if (stage !== "regular" || transformations === undefined) return undefined;
  return { requests: [transformations], responses: [], field: "transformations", isList: false, isInherited: false };
}

export interface PlanDefaults {
  readonly escapes: boolean;
  readonly logs: boolean;
  readonly clearsRoutes: boolean;
}

export interface MadePlan {
  /** Throws a `PlanFault` for what cannot be. */
  readonly plan: () => StagePlan;
  /** The field of the options that a field of the plan comes from. */
  readonly fieldOf: (field: string) => string;
}

export function planOf(sources: readonly Source[], defaults: PlanDefaults): MadePlan {
  const requests = sources.flatMap((source) =>
    source.requests
      .map((each, i) => ({ each, at: source.isList ? `${source.field}.requestTransforms[${i}]` : source.field }))
      .filter(({ each }) => each.requestTransformation ?? each.responseTransformation),
  );
  const responses = sources.flatMap((source) =>
    source.responses
      .map((each, i) => ({ each, at: `${source.field}.responseTransforms[${i}]` }))
      .filter(({ each }) => each.responseTransformation),
  );
  const all = [...requests.flatMap(({ each }) => [each.requestTransformation, each.responseTransformation])];
  return {
    plan: () => ({
      entries: requests.map(({ each }, i) => within(`entries[${i}]`, () => entryOf(each, defaults))),
      responses: responses.map(({ each }, i) => within(`responses[${i}]`, () => responseOf(each, defaults))),
      logs: defaults.logs || all.some((each) => each?.logRequestResponseInfo),
    }),
    fieldOf(field) {
      const found = /^(entries|responses)\[(\d+)\]\.?(.*)$/.exec(field);
      const at = (found?.[1] === "entries" ? requests : responses)[Number(found?.[2])]?.at ?? "";
      return `${at}${apiField(found?.[3] ?? "")}`;
    },
  };
}

function entryOf(
  { matcher, clearRouteCache, requestTransformation, responseTransformation }: Source["requests"][number],
  defaults: PlanDefaults,
): Entry {
  const request = within("request", () => changeOf(requestTransformation, defaults));
  const response = within("response", () => {
    const type = responseTransformation?.transformationType;
    if (type?.case === "transformationTemplate" && type.value.spanTransformer)
      throw new TemplateFault("unable to create span transformer: spanTransformer cannot be set on a responseTransformation");
    return changeOf(responseTransformation, defaults);
  });
  return {
    ...(matcher && { match: requestMatch(matcher) }),
    ...(clearRouteCache && defaults.clearsRoutes && { clearsRoute: true }),
    ...(request && { request }),
    ...(response && { response }),
  };
}

function responseOf({ matchers, responseTransformation }: ApiResponseMatch, defaults: PlanDefaults): ResponseEntry {
  const response = within("response", () => changeOf(responseTransformation, defaults)) as Change;
  return { headers: matchers.map(headerMatch), response };
}

function changeOf(transformation: ApiTransformation | undefined, { escapes }: PlanDefaults): Change | undefined {
  const type = transformation?.transformationType;
  switch (type?.case) {
    case "transformationTemplate":
      return transformationOf(type.value, { escapes });
    case "headerBodyTransform":
      return { kind: "envelope", tellsRequest: type.value.addRequestMetadata };
    default:
      if (transformation)
        throw new TemplateFault("unknown transformation type <nil>: neither transformationTemplate nor headerBodyTransform");
      return undefined;
  }
}

function requestMatch({ pathSpecifier: path, caseSensitive, headers, queryParameters, methods }: Matcher): RequestMatch {
  const ignoresCase = caseSensitive === false;
  return {
    ...(path.case !== undefined && path.case !== "connectMatcher" && { path: { kind: path.case, value: path.value, ignoresCase } }),
    methods: path.case === "connectMatcher" ? ["CONNECT"] : methods,
    headers: headers.map(headerMatch),
    query: queryParameters.map(({ name, value, regex }) => ({ name, value, kind: kindOf(value, regex) })),
  };
}

function headerMatch({ name, value, regex, invertMatch }: HeaderMatcher): HeaderMatch {
  return { name, value, kind: kindOf(value, regex), isInverted: invertMatch };
}

function kindOf(value: string, isRegex: boolean): "exact" | "regex" | "present" {
  if (value === "") return "present";
  return isRegex ? "regex" : "exact";
}

/** `request.headers.x-user` → `.requestTransformation.transformationTemplate.headers.x-user.text`. */
function apiField(field: string): string {
  if (field === "") return "";
  const [, first = "", rest = ""] = /^([a-z]+)(.*)$/.exec(field) ?? [];
  if (first === "match") return `.matcher${rest.replace(/^\.query/, ".queryParameters").replace(/^\.path$/, "")}`;
  if (first === "headers") return `.matchers${rest}`;
  const within = /^\.(headers|append|remove|extractors|body|keys|metadata)\.?(.*)$/.exec(rest);
  const template = `.${first}Transformation.transformationTemplate`;
  switch (within?.[1]) {
    case "headers":
      return `${template}.headers${key(within[2])}.text`;
    case "append":
      return `${template}.headersToAppend${indexOf(within[2])}.value.text`;
    case "remove":
      return `${template}.headersToRemove${indexOf(within[2])}`;
    case "extractors": {
      const isRegex = within[2]?.endsWith(".regex");
      return `${template}.extractors${key(isRegex ? within[2]?.slice(0, -".regex".length) : within[2])}${isRegex ? ".regex" : ""}`;
    }
    case "body":
      return `${template}.body.text`;
    case "keys":
      return `${template}.mergeJsonKeys.jsonKeys${within[2] ? `${key(within[2])}.tmpl.text` : ""}`;
    case "metadata":
      return `${template}.dynamicMetadataValues${indexOf(within[2])}.value.text`;
    default:
      return template;
  }
}

function key(name = ""): string {
  return /^[A-Za-z_$@][\w$-]*$/.test(name) ? `.${name}` : `[${JSON.stringify(name)}]`;
}

/** Of `[2].x-name` the place in the list. */
function indexOf(text = ""): string {
  return /^\[\d+\]/.exec(text)?.[0] ?? "";
}
