// The providers of language models that an `ai` Upstream may name, as HTTP: host, path, header of the token. Pure.
import type { SingleAuthToken } from "../../gen/gloo/gloo/projects/gloo/api/v1/enterprise/options/ai/ai_pb.js";
import type { SpecOf } from "../../plugin/upstream-type.ts";

export interface Provider {
  /** Its field below `ai`. */
  readonly field: string;
  readonly hostname: string;
  readonly port: number;
  /** Absent where it is not given: then nothing replaces what the client sends. */
  readonly token?: SingleAuthToken;
  readonly needsToken: boolean;
  readonly tokenHeader: "authorization" | "api-key" | "x-api-key" | "x-goog-api-key";
  readonly headers: Readonly<Record<string, string>>;
  /** The whole path, where it does not depend on the request. */
  readonly path?: string;
  /** Fields that have no effect. */
  readonly withoutEffect: readonly string[];
}

/** The provider, or why there is none that could be reached. */
export function providerOf({ llm }: SpecOf<"ai">): Provider | { readonly field: string; readonly why: string } {
  switch (llm.case) {
    case undefined:
      return { field: "", why: "no provider is named" };
    case "multi":
      return { field: "multi", why: "several providers behind one Upstream are not supported by this version" };
    case "bedrock":
      return { field: "bedrock", why: "Bedrock is not supported by this version" };
    case "vertexAi":
      return { field: "vertexAi", why: "Vertex AI is not supported by this version" };
    default:
      return known(llm);
  }
}

type Known = Extract<SpecOf<"ai">["llm"], { case: "openai" | "mistral" | "anthropic" | "azureOpenai" | "gemini" }>;

function known(llm: Known): Provider {
  const { customHost } = llm.value;
  const host = (usual: string) => ({
    hostname: customHost?.host || usual,
    port: customHost?.port || 443,
    withoutEffect: [
      ...("model" in llm.value && llm.value.model !== "" && llm.case !== "gemini" ? ["model"] : []),
      ...(customHost?.pathOverride?.overrideType.case === "basePath" ? ["customHost.pathOverride.basePath"] : []),
    ],
  });
  const override = customHost?.pathOverride?.overrideType;
  const path = (usual: string | undefined) => {
    const whole = override?.case === "fullPath" ? override.value : usual;
    return whole === undefined ? {} : { path: whole };
  };
  switch (llm.case) {
    case "openai":
      return {
        field: llm.case,
        ...host("api.openai.com"),
        ...one(llm.value.authToken),
        tokenHeader: "authorization",
        headers: {},
        ...path("/v1/chat/completions"),
      };
    case "mistral":
      return {
        field: llm.case,
        ...host("api.mistral.ai"),
        ...one(llm.value.authToken),
        tokenHeader: "authorization",
        headers: {},
        ...path("/v1/chat/completions"),
      };
    case "anthropic":
      return {
        field: llm.case,
        ...host("api.anthropic.com"),
        ...one(llm.value.authToken),
        tokenHeader: "x-api-key",
        headers: { "anthropic-version": llm.value.version || "2023-06-01" },
        ...path("/v1/messages"),
      };
    case "azureOpenai": {
      const { endpoint, deploymentName, apiVersion, authTokenSource } = llm.value;
      const whole = `/openai/deployments/${encodeURIComponent(deploymentName)}/chat/completions?api-version=${encodeURIComponent(apiVersion)}`;
      return { field: llm.case, ...host(endpoint), ...one(authTokenSource.value), tokenHeader: "api-key", headers: {}, ...path(whole) };
    }
    case "gemini": {
      const { model, apiVersion, authTokenSource } = llm.value;
      const whole = `/${encodeURIComponent(apiVersion || "v1beta")}/models/${encodeURIComponent(model)}:generateContent`;
      return {
        field: llm.case,
        ...host("generativelanguage.googleapis.com"),
        ...one(authTokenSource.value),
        tokenHeader: "x-goog-api-key",
        headers: {},
        ...path(model === "" ? undefined : whole),
      };
    }
  }
}

function one(token: SingleAuthToken | undefined) {
  return { needsToken: true, ...(token && { token }) };
}
