// Functions of REST services that describe themselves, as Swagger 2 or OpenAPI 3, in JSON or YAML. Looks in Gloo's five places and in
// those that an annotation of the Upstream names, or at the one place that `swaggerInfo` of the Upstream says.
import { create } from "@bufbuild/protobuf";
import { type ServiceSpec, ServiceSpecSchema } from "../../gen/gloo/gloo/projects/gloo/api/v1/options/service_spec_pb.js";
import type { FoundFunctions, FunctionAnswer, FunctionKind, FunctionProbe, FunctionTarget } from "../../plugin/function-kind.ts";
import { readDocument } from "./document.ts";
import { fetchDocument } from "./fetch-document.ts";
import { restFunctionsOf } from "./templates.ts";

/** `/docs/api.json, /openapi.yaml`: further places to look, before Gloo's. */
export const pathsAnnotation = "discovery.solo.io/openapi_paths";

const gloosPaths = ["/swagger.json", "/swagger/docs/v1", "/swagger/docs/v2", "/v1/swagger", "/v2/swagger"];
const maxOwnPaths = 10;

/** What the next question begins with. */
interface Memo {
  readonly path: string;
  readonly etag?: string;
}

export const swagger: FunctionKind = {
  kind: "swagger",
  refreshMs: 60_000,
  // Also one that says no more than that it is REST.
  completes: ({ pluginType }) => pluginType.case === "rest" && Object.keys(pluginType.value.transformations).length === 0,
  ask,
};

async function ask(probe: FunctionProbe): Promise<FunctionAnswer> {
  const info = probe.begun?.pluginType.case === "rest" ? probe.begun.pluginType.value.swaggerInfo?.swaggerSpec : undefined;
  if (info?.case === "inline") {
    const found = foundIn(info.value, probe.begun);
    return found ? { kind: "found", found } : { kind: "absent" };
  }
  const memo = probe.memo as Memo | undefined;
  if (memo) return one(probe, memo.path, memo);
  if (info?.case === "url") return one(probe, ownPath(info.value, probe.target), undefined);
  const own = (probe.target.upstream.annotations[pathsAnnotation] ?? "").split(",").map((each) => each.trim());
  for (const path of [...new Set([...own.filter((each) => each.startsWith("/")).slice(0, maxOwnPaths), ...gloosPaths])]) {
    const answer = await one(probe, path, undefined);
    if (answer.kind !== "absent") return answer;
  }
  return { kind: "absent" };
}

async function one(probe: FunctionProbe, path: string, memo: Memo | undefined): Promise<FunctionAnswer> {
  const { target, begun, signal } = probe;
  const answer = await fetchDocument(target, path, memo?.etag, signal);
  if (answer.kind === "unchanged") return answer;
  // What was there a moment ago is an outage when it is gone, not another service.
  if (answer.kind === "none") {
    if (memo) throw new Error(`${path} was there before, and now answers ${answer.status}`);
    return { kind: "absent" };
  }
  const url = `${target.tls ? "https" : "http"}://${target.authority}${path}`;
  const found = foundIn(answer.text, begun, url);
  if (found === undefined) {
    if (memo) throw new Error(`${path} was an OpenAPI document before, and is none now`);
    return { kind: "absent" };
  }
  const next: Memo = { path, ...(answer.etag !== undefined && { etag: answer.etag }) };
  return { kind: "found", found: { ...found, memo: next } };
}

function foundIn(text: string, begun: ServiceSpec | undefined, url = ""): FoundFunctions | undefined {
  const document = readDocument(text);
  if (document === undefined) return undefined;
  const { transformations, leftOut } = restFunctionsOf(document);
  const own = begun?.pluginType.case === "rest" ? begun.pluginType.value.swaggerInfo : undefined;
  const swaggerInfo = own ?? { swaggerSpec: { case: "url" as const, value: url } };
  const spec = create(ServiceSpecSchema, { pluginType: { case: "rest", value: { transformations, swaggerInfo } } });
  return { spec, count: Object.keys(transformations).length, leftOut };
}

/** The path of `swaggerInfo.url`. It has to be the Upstream's own: discovery goes where requests would go, and nowhere else. */
function ownPath(url: string, target: FunctionTarget): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  const origin = new URL(`${target.tls ? "https" : "http"}://${target.authority}`).origin;
  if (parsed?.origin !== origin)
    throw new Error(`swaggerInfo.url is not at ${origin}, where the Upstream is; give the document as swaggerInfo.inline`);
  return parsed.pathname + parsed.search;
}
