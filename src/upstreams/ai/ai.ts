// Upstreams of the type `ai`: one provider of language models, as far as a stock Envoy reaches: TLS, host, path and token.
import { defineUpstreamType } from "../../plugin/upstream-type.ts";
import { aiCluster, aiRoute } from "./cluster.ts";
import { providerOf } from "./providers.ts";

export const ai = defineUpstreamType({
  kind: "ai",
  cluster: aiCluster,
  tls({ spec }) {
    const provider = providerOf(spec);
    if ("why" in provider) return { isOn: true };
    const custom =
      "customHost" in (spec.llm.value ?? {}) ? (spec.llm.value as { customHost?: { hostname?: string } }).customHost : undefined;
    return { isOn: true, sni: custom?.hostname || provider.hostname };
  },
  route: aiRoute,
});
