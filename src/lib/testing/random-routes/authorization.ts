// The server that is asked who may pass.
import type { JsonObject } from "@bufbuild/protobuf";
import fc from "fast-check";
import type { Values } from "../flavours.ts";
import { shop, type Words } from "./words.ts";

export function authorization({ isWild, any, or, whole, texts, parts, ...words }: Words): Record<string, Values> {
  return {
    "enterprise.gloo.solo.io.ExtAuthExtension": any(
      { disable: true },
      { disable: false },
      { customAuth: { contextExtensions: { a: "b" } } },
      {},
      { configRef: { name: "authconfig-0", namespace: "$own" } },
      { configRef: { name: "authconfig-1", namespace: "$own" } },
      ...(isWild ? [{ configRef: { name: "missing", namespace: shop } }] : []),
    ),
    "enterprise.gloo.solo.io.Settings": parts(
      {
        extauthzServerRef: words.toPlain,
        grpcService: any({ authority: "a.test" }),
        requestTimeout: words.duration,
        failureModeAllow: fc.boolean(),
        requestBody: parts({
          maxRequestBytes: whole(0, 8192, 4_294_967_295),
          allowPartialMessage: fc.boolean(),
          packAsBytes: fc.boolean(),
        }),
        clearRouteCache: fc.boolean(),
        statusOnError: or(any(0, 403, 503), 99, 599),
        statPrefix: texts("auth"),
      },
      ["extauthzServerRef"],
    ).chain((made) =>
      (isWild && "requestBody" in made) || !("requestBody" in made)
        ? fc.constant(made)
        : parts({
            pathPrefix: words.path,
            request: words.headerValue.map(
              (value): JsonObject => ({ allowedHeaders: ["x-a"], allowedHeadersRegex: ["x-.*"], headersToAdd: { "x-b": value } }),
            ),
            response: any({ allowedUpstreamHeaders: ["x-a"], allowedClientHeaders: ["x-b"], allowedUpstreamHeadersToAppend: ["x-c"] }),
          }).map(({ ...httpService }) => {
            const { grpcService: _, ...rest } = made;
            return { ...rest, httpService };
          }),
    ),
  };
}
