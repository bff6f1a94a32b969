// `stagedTransformations.inheritTransformation` of a route that another delegates to: the lists of the delegating route come after its own;
// and those of the virtual host after these, where the delegating route inherits them itself.
import { create } from "@bufbuild/protobuf";
import {
  type RequestResponseTransformations,
  RequestResponseTransformationsSchema,
  TransformationStagesSchema,
} from "../gen/gloo/gloo/projects/gloo/api/v1/options/transformation/transformation_pb.js";
import { type RouteOptions, RouteOptionsSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/route_options_pb.js";

/** `options` with those of the delegating route, where they ask for it. */
export function withInheritedTransformations(options: RouteOptions | undefined, above: RouteOptions | undefined): RouteOptions | undefined {
  if (options === undefined) return undefined;
  const own = options.stagedTransformations;
  const theirs = above?.stagedTransformations;
  if (!own?.inheritTransformation || own === theirs) return options;
  const early = joined(own.early, theirs?.early);
  const regular = joined(own.regular, theirs?.regular);
  const stagedTransformations = create(TransformationStagesSchema, {
    ...own,
    ...(early && { early }),
    ...(regular && { regular }),
    inheritTransformation: theirs?.inheritTransformation ?? false,
  });
  return create(RouteOptionsSchema, { ...options, stagedTransformations });
}

function joined(own: RequestResponseTransformations | undefined, theirs: RequestResponseTransformations | undefined) {
  if (own === undefined || theirs === undefined) return own ?? theirs;
  return create(RequestResponseTransformationsSchema, {
    requestTransforms: [...own.requestTransforms, ...theirs.requestTransforms],
    responseTransforms: [...own.responseTransforms, ...theirs.responseTransforms],
  });
}
