// Access logs: where they go, in which form, and of what.
import type { JsonObject } from "@bufbuild/protobuf";
import fc from "fast-check";
import type { Values } from "../flavours.ts";
import { shop, type Words } from "./words.ts";

export function accessLogs({ isWild, any, or, whole, texts, some, parts, ...words }: Words): Record<string, Values> {
  const comparison = parts(
    { op: any("EQ", "GE", "LE"), value: parts({ defaultValue: whole(0, 599, 4_294_967_295), runtimeKey: texts("a.b") }, ["runtimeKey"]) },
    ["value"],
  ).map((made) => ({ comparison: made }));
  const headerMatch = parts({ invertMatch: fc.boolean() }).chain((base) =>
    fc
      .oneof(
        texts("a").map((exactMatch) => ({ exactMatch })),
        words.regex.map((text) => ({ safeRegexMatch: { regex: text } })),
        any({ rangeMatch: { start: 1, end: 5 } }, { presentMatch: true }) as fc.Arbitrary<JsonObject>,
        texts("a").map((prefixMatch) => ({ prefixMatch })),
        texts("a").map((suffixMatch) => ({ suffixMatch })),
      )
      .chain((match) => words.header.map((name): JsonObject => ({ name, ...base, ...match }))),
  );
  const plainFilter: fc.Arbitrary<JsonObject> = fc.oneof(
    comparison.map((statusCodeFilter) => ({ statusCodeFilter })),
    comparison.map((durationFilter) => ({ durationFilter })),
    any({ notHealthCheckFilter: {} }, { traceableFilter: {} }) as fc.Arbitrary<JsonObject>,
    parts({ runtimeKey: texts("a.b"), percentSampled: words.fraction, useIndependentRandomness: fc.boolean() }, ["runtimeKey"]).map(
      (runtimeFilter) => ({ runtimeFilter }),
    ),
    headerMatch.map((match) => ({ headerFilter: { header: match } })),
    some(or(fc.constantFrom("UH", "NR", "UF"), "NOPE", ""), 0, 2).map((flags) => ({ responseFlagFilter: { flags } })),
    any({ grpcStatusFilter: { statuses: ["OK", "UNAVAILABLE"], exclude: true } }, { grpcStatusFilter: {} }) as fc.Arbitrary<JsonObject>,
    ...(isWild ? [any({}, { headerFilter: {} }, { statusCodeFilter: {} }) as fc.Arbitrary<JsonObject>] : []),
  );
  const logFilter = fc.oneof(
    { weight: 4, arbitrary: plainFilter },
    { weight: 1, arbitrary: some(plainFilter, isWild ? 1 : 2, 3).map((filters): JsonObject => ({ andFilter: { filters } })) },
    { weight: 1, arbitrary: some(plainFilter, isWild ? 1 : 2, 3).map((filters): JsonObject => ({ orFilter: { filters } })) },
  );
  const anyValue = any(
    { stringValue: "%REQ(:path)%" },
    { kvlistValue: { values: [{ key: "k", value: { stringValue: "%START_TIME%" } }] } },
    ...(isWild ? [{ stringValue: "%NOPE%" }, { intValue: "3" }] : []),
  );
  return {
    "als.options.gloo.solo.io.FileSink.path": or(any("/dev/null"), ""),
    "als.options.gloo.solo.io.FileSink.string_format": texts(
      "[%START_TIME%] %REQ(:METHOD)% %RESPONSE_CODE%\n",
      "%REQ_WITHOUT_QUERY(:PATH)%\n",
      "",
    ),
    "als.options.gloo.solo.io.FileSink.json_format": any(
      { path: "%REQ(:PATH)%", nested: { code: "%RESPONSE_CODE%", list: ["%PROTOCOL%", 1] } },
      ...(isWild ? [{ a: "%NOPE%" }, {}, { a: null }] : []),
    ),
    "als.options.gloo.solo.io.GrpcService.static_cluster_name": or(
      any(`${words.upstreams.plain[0]}_${shop}`, words.sdsCluster),
      "nobody",
      "",
    ),
    "als.options.gloo.solo.io.GrpcService.log_name": texts("log"),
    "als.options.gloo.solo.io.GrpcService.filter_state_objects_to_log": some(texts("a.b")),
    ...Object.fromEntries(
      ["request_headers", "response_headers", "response_trailers"].map((each) => [
        `als.options.gloo.solo.io.GrpcService.additional_${each}_to_log`,
        some(words.header),
      ]),
    ),
    "als.options.gloo.solo.io.OpenTelemetryService.log_name": texts("spans"),
    "als.options.gloo.solo.io.OpenTelemetryGrpcCollector.endpoint": or(
      any("127.0.0.1:4317", "127.0.0.2:4318"),
      "",
      "127.0.0.1",
      ":1",
      "127.0.0.1:0",
      "127.0.0.1:70000",
      "a b:1",
    ),
    "als.options.gloo.solo.io.OpenTelemetryGrpcCollector.insecure": isWild ? fc.boolean() : any(true),
    "als.options.gloo.solo.io.OpenTelemetryGrpcCollector.headers": any(
      {},
      { "x-a": "b" },
      ...(isWild ? [{ "a b": "c" }, { "": "" }, { Host: "x" }, { "x-a": "\n" }] : []),
    ),
    "als.options.gloo.solo.io.OpenTelemetryGrpcCollector.authority": texts("a.test"),
    "opentelemetry.proto.common.v1.AnyValue": anyValue,
    "als.options.gloo.solo.io.AccessLogFilter": logFilter,
  };
}
