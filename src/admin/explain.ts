// What becomes of a request in the configuration that runs, for the admin API; secrets blanked.
import type { DescMessage, JsonObject, JsonValue } from "@bufbuild/protobuf";
import type { Translation } from "../control-plane.ts";
import { askedRequest } from "../flow/explain/asked-request.ts";
import { explain } from "../flow/explain/explain.ts";
import type { ExplainedOption, Explanation } from "../flow/explain/explanation.ts";
import type { Provenance } from "../flow/provenance.ts";
import { RouteOptionsSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/route_options_pb.js";
import { VirtualHostOptionsSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/virtual_host_options_pb.js";
import { WeightedDestinationOptionsSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/weighted_destination_options_pb.js";
import type { ProxyKey } from "../model/envoy-resource.ts";
import { envoyTypes } from "./envoy-json.ts";
import { redactMessage, SecretValues } from "./redact.ts";

export interface ExplainQuery {
  readonly method: string;
  readonly url: string;
  /** `name: value`. */
  readonly headers: readonly string[];
}

/** Throws NoRequest for what is none. */
export function explanationView(
  translation: Translation & Provenance,
  proxy: ProxyKey,
  { method, url, headers }: ExplainQuery,
): Explanation {
  const asked = askedRequest(method, url, headers);
  const explanation = explain(translation, proxy, asked, { knowsEndpoints: "all" });
  const secrets = new SecretValues(translation.resources.values());
  const options = explanation.options.map((option) => redactedOption(option, secrets));
  return scrubbed({ ...explanation, options } as unknown as JsonValue, secrets) as unknown as Explanation;
}

const schemas: Readonly<Record<ExplainedOption["level"], DescMessage>> = {
  route: RouteOptionsSchema,
  virtualHost: VirtualHostOptionsSchema,
  destination: WeightedDestinationOptionsSchema,
};

/** By type: what an option calls a credential is one, though no Secret holds it. */
function redactedOption(option: ExplainedOption, secrets: SecretValues): ExplainedOption {
  const { field, level, value } = option;
  if (value === undefined) return option;
  const shown = redactMessage(schemas[level], { [field]: value } as JsonObject, secrets, envoyTypes()) as JsonObject;
  return { ...option, value: shown[field] };
}

function scrubbed(value: JsonValue, secrets: SecretValues): JsonValue {
  if (typeof value === "string") return secrets.scrub(value);
  if (Array.isArray(value)) return value.map((each) => scrubbed(each, secrets));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, scrubbed(each, secrets)]));
}
