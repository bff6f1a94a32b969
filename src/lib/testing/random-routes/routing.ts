// Routes: what they match, and what they do.
import type { JsonObject } from "@bufbuild/protobuf";
import fc from "fast-check";
import type { Values } from "../flavours.ts";
import type { Words } from "./words.ts";

export function routing({ isWild, any, or, whole, texts, some, distinct, parts, ...words }: Words): Record<string, Values> {
  return {
    "matchers.core.gloo.solo.io.Matcher.prefix": words.path,
    "matchers.core.gloo.solo.io.Matcher.exact": words.path,
    "matchers.core.gloo.solo.io.Matcher.regex": words.regex,
    "matchers.core.gloo.solo.io.Matcher.methods": isWild ? some(texts("GET", "POST", "get", "PURGE")) : distinct("GET", "POST", "PATCH"),
    "matchers.core.gloo.solo.io.HeaderMatcher": fc
      .record({ name: or(any("x-a", ":authority", "X-B"), "", "a b", "é", "\n"), value: texts("", "a", "b"), invertMatch: fc.boolean() })
      .chain((made) =>
        fc
          .oneof({ weight: 3, arbitrary: any({}) }, { weight: 1, arbitrary: words.regex.map((value) => ({ value, regex: true })) })
          .map((more) => ({ ...made, ...(more as JsonObject) })),
      ),
    "matchers.core.gloo.solo.io.QueryParameterMatcher": fc
      .tuple(
        texts("q", "page"),
        fc.oneof(
          { weight: 3, arbitrary: texts("", "1").map((value): JsonObject => ({ value })) },
          { weight: 1, arbitrary: words.regex.map((value): JsonObject => ({ value, regex: true })) },
        ),
      )
      .map(([name, more]) => ({ name, ...more })),
    // Routes.
    "gateway.solo.io.Route.name": texts("buy", "sell"),
    "gloo.solo.io.RouteAction.upstream_group": words.inShop(...words.groups),
    "gloo.solo.io.RouteAction.cluster_header": texts("x-cluster"),
    "dfp.options.gloo.solo.io.PerRouteConfig": any(
      { hostRewrite: "a.test" },
      { autoHostRewriteHeader: "x-host" },
      ...(isWild ? [{}, { hostRewrite: "" }, { autoHostRewriteHeader: "" }] : []),
    ),
    "gloo.solo.io.RedirectAction.host_redirect": words.host,
    "gloo.solo.io.RedirectAction.path_redirect": words.path,
    "gloo.solo.io.RedirectAction.prefix_rewrite": words.path,
    "gloo.solo.io.RedirectAction.port_redirect": whole(1, 65_535, 0, 70_000),
    "gloo.solo.io.DirectResponseAction.status": words.status,
    "gloo.solo.io.DirectResponseAction.body": or(any("", "no", "é\n"), "x".repeat(5000)),
    "solo.io.envoy.type.matcher.v3.RegexMatchAndSubstitute": words.rewrite,
    "solo.io.envoy.type.matcher.v3.RegexMatcher": words.regex.map((text) => ({ regex: text })),
    "solo.io.envoy.type.matcher.v3.StringMatcher": fc.oneof(
      ...["exact", "prefix", "suffix"].map((kind) =>
        texts("a", "https://a.test").map((text): JsonObject => ({ [kind]: text, ignoreCase: text === "a" })),
      ),
      words.regex.map((text): JsonObject => ({ safeRegex: { regex: text } })),
      ...(isWild ? [any({}) as fc.Arbitrary<JsonObject>] : []),
    ),
    "solo.io.envoy.type.v3.FractionalPercent": words.fraction,
    "solo.io.envoy.config.core.v3.RuntimeFractionalPercent": parts({ defaultValue: words.fraction, runtimeKey: texts("a.b") }, [
      "defaultValue",
    ]),
    "solo.io.envoy.config.core.v3.CidrRange": words.cidr,
    "hcm.options.gloo.solo.io.HttpConnectionManagerSettings.CidrRange": words.cidr,
  };
}
