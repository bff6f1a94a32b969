// `envoyMetadata` of a route: data for filters and access logs, by namespace.
import { sortedMap } from "../envoy/encode.ts";
import type { Feature } from "../plugin/feature.ts";

export const envoyMetadata: Feature = {
  name: "envoyMetadata",
  glooName: "metadata",
  fields: { route: ["envoyMetadata"] },
  route: (route, options) => ({ ...route, metadata: { filterMetadata: sortedMap(options.envoyMetadata) } }),
};
