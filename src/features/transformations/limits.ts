// What of a transformation stock Envoy cannot do: a warning that names the field and what to do instead.
import type { Transformation } from "../../gen/gloo/gloo/projects/gloo/api/v1/options/transformation/transformation_pb.js";
import type { OptionContext } from "../../plugin/feature.ts";
import type { TransformationStage } from "../../plugin/scriptFilter.ts";
import { framing } from "../../template/program.ts";
import type { Source } from "./plan.ts";

export function warnOfLimits(stage: TransformationStage, sources: readonly Source[], program: string, { warn }: OptionContext): void {
  const own = sources.filter((each) => !each.isInherited);
  const tell = (field: string, message: string, hint?: string) =>
    warn(field, message, { reason: "OptionNotSupported", ...(hint && { hint }) });
  for (const source of own) {
    source.requests.forEach((each, i) => {
      const at = source.isList ? `${source.field}.requestTransforms[${i}]` : source.field;
      if (each.clearRouteCache && stage === "postRouting")
        tell(`${at}.clearRouteCache`, "clearRouteCache has no effect once the route is chosen");
      warnOfChange(each.requestTransformation, `${at}.requestTransformation`, tell);
      warnOfChange(each.responseTransformation, `${at}.responseTransformation`, tell);
    });
    source.responses.forEach((each, i) => {
      const at = `${source.field}.responseTransforms[${i}]`;
      if (each.responseCodeDetails !== "")
        tell(
          `${at}.responseCodeDetails`,
          "Envoy's scripts do not see responseCodeDetails: the transformation applies to every response that its matchers fit",
          "tell such responses apart by :status or another header in `matchers`",
        );
      warnOfChange(each.responseTransformation, `${at}.responseTransformation`, tell);
    });
  }
  const blind = [...new Set(program.match(/\["call","(?:host_metadata|cluster_metadata|clusterMetadata|data_source)"/g) ?? [])];
  for (const found of blind) {
    const name = found.slice('["call","'.length, -1);
    tell(own[0]?.field ?? "", `${name}() is always empty: Envoy's scripts do not see that`, "dynamic_metadata() and header() can be used");
  }
}

function warnOfChange(change: Transformation | undefined, at: string, tell: (field: string, message: string, hint?: string) => void): void {
  const type = change?.transformationType;
  if (type?.case !== "transformationTemplate") return;
  const template = `${at}.transformationTemplate`;
  const written = [
    ...Object.keys(type.value.headers).map((name) => ({ name, field: `${template}.headers.${name}` })),
    ...type.value.headersToAppend.map(({ key }, i) => ({ name: key, field: `${template}.headersToAppend[${i}].key` })),
  ];
  for (const { name, field } of written)
    if (framing.has(name.toLowerCase())) tell(field, `${name} is set by the proxy, as the body needs it; this has no effect`);
  if (type.value.spanTransformer)
    tell(
      `${template}.spanTransformer`,
      "Envoy's scripts cannot name spans: the span keeps its name",
      "`tracing.routeDescriptor` of the route names its spans",
    );
}
