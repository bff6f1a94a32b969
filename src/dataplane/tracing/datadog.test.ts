// Traces of Datadog, whatever clients and agents send. That they are Envoy's is in test/differential/tracing-datadog.test.ts.

import { decode } from "@msgpack/msgpack";
import fc from "fast-check";
import { expect, test } from "vitest";
import { type Headers, headerValue } from "../http1/headers.ts";
import { datadogTracer, type Part } from "./datadog.ts";
import { datadogPayload, partSize } from "./datadog-payload.ts";
import { Rates, rateDecision } from "./datadog-rates.ts";

const names = { service: "shop", environment: "", version: "1" };

test("whatever a client sends, its request is traced, and the agent can read it", () => {
  const hex = (length: number) => fc.string({ unit: fc.constantFrom(..."0123456789abcdef"), minLength: length, maxLength: length });
  const number = fc.oneof(fc.bigInt({ min: -2n, max: 2n ** 65n }).map(String), fc.string());
  const value: Readonly<Record<string, fc.Arbitrary<string>>> = {
    "x-datadog-trace-id": number,
    "x-datadog-parent-id": number,
    "x-datadog-sampling-priority": fc.oneof(fc.integer({ min: -2, max: 3 }).map(String), fc.string()),
    "x-datadog-origin": fc.string(),
    "x-datadog-tags": fc.oneof(
      fc.string(),
      fc
        .array(
          fc.tuple(fc.constantFrom("_dd.p.tid", "_dd.p.dm", "_dd.p.ts", "__proto__", "_dd.p.__proto__"), fc.oneof(fc.string(), hex(16))),
        )
        .map((tags) => tags.map((each) => each.join("=")).join()),
    ),
    traceparent: fc.oneof(
      fc.string(),
      fc.tuple(hex(2), hex(32), hex(16), hex(2)).map((parts) => parts.join("-")),
    ),
    tracestate: fc.oneof(
      fc.string(),
      fc.string().map((each) => `dd=${each}`),
    ),
  };
  const latin1 = (text: string) => Buffer.from(text, "utf8").toString("latin1");
  const headers = fc
    .record(value, { requiredKeys: [] })
    .map((each): Headers => Object.entries(each).flatMap(([name, text]) => [name, latin1(text ?? "")]));
  fc.assert(
    fc.property(headers, fc.boolean(), (list, isWanted) => {
      const { parts, tracer } = reporting();
      const span = tracer.start({ headers: list, authority: "a", startedAt: 1_000, isWanted });
      if (span === undefined) throw new Error("it is not traced");
      const sent: Headers = [...list];
      tracer.inject(span.child("try", 1_001), sent);
      expect(headerValue(sent, "x-datadog-trace-id")).toBe(BigInt(`0x${span.traceId.slice(16)}`).toString());
      expect(headerValue(sent, "traceparent")).toMatch(/^00-[0-9a-f]{32}-[0-9a-f]{16}-0[01]$/);
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are looked for
      expect(headerValue(sent, "tracestate")).not.toMatch(/^dd=[^,]*[\x00-\x1f]/);
      tracer.report(span, parts);
      const [[root]] = decode(datadogPayload(parts.all, names), { useBigInt64: true }) as [[{ trace_id: bigint; metrics: object }]];
      expect(root.trace_id).toBe(BigInt(`0x${span.traceId.slice(16)}`));
      expect(root.metrics).toHaveProperty("_sampling_priority_v1", Number(headerValue(sent, "x-datadog-sampling-priority")));
    }),
  );
});

test("what was done below a request is reported with it, as one part", () => {
  const { parts, tracer } = reporting();
  const root = tracer.start({ headers: [], authority: "a", startedAt: 1_000, isWanted: true });
  if (root === undefined) throw new Error("it is not traced");
  for (const name of ["first", "second"]) tracer.report(root.child(name, 1_001), parts);
  // One that was begun and given up is none.
  root.child("forgotten", 1_002);
  expect(parts.all).toEqual([]);
  tracer.report(root, parts);
  expect(parts.all.map((part) => part.map((each) => [each.name, each.parentId === root.id]))).toEqual([
    [
      ["ingress", false],
      ["first", true],
      ["second", true],
    ],
  ]);
});

test("what a client has its traces say counts, wherever it is said", () => {
  const { parts, tracer } = reporting();
  const long = "o".repeat(50_000);
  const sizeWith = (headers: Headers) => {
    const root = tracer.start({ headers, authority: "a", startedAt: 1_000, isWanted: true });
    if (root === undefined) throw new Error("it is not traced");
    for (let i = 0; i < 3; i++) tracer.report(root.child("try", 1_001), parts);
    tracer.report(root, parts);
    const part = parts.all.pop() as Part;
    return [partSize(part), datadogPayload([part], names).length] as const;
  };
  const ids = ["x-datadog-trace-id", "1", "x-datadog-parent-id", "2"];
  const tags = `_dd.p.a=${"t".repeat(500)}`;
  for (const headers of [[], ids, [...ids, "x-datadog-origin", long], [...ids, "x-datadog-tags", tags]]) {
    const [size, written] = sizeWith(headers);
    expect(size).toBeGreaterThan(written);
    expect(size).toBeLessThan(written + 2_000);
  }
  // It is not written, and kept all the same.
  const [size] = sizeWith([...ids, "traceparent", `00-${"1".padStart(32, "0")}-${"2".padStart(16, "0")}-01`, "tracestate", `x=${long}`]);
  expect(size).toBeGreaterThan(long.length);
});

test("an answer of an agent that cannot be read changes no rate", () => {
  const rates = new Rates();
  const take = (text: string) => rates.take(Buffer.from(text));
  const said = () => [rates.of("shop", ""), rates.of("other", "")];
  expect(said()).toEqual([undefined, undefined]);
  take('{"rate_by_service": {"service:shop,env:": 0.5, "service:,env:": 0.25}}');
  expect(said()).toEqual([0.5, 0.25]);
  for (const text of ["", "OK", "null", "[]", '{"rate_by_service": 1}', '{"rate_by_service": {"service:shop,env:": 2}}']) take(text);
  expect(said()).toEqual([0.5, 0.25]);
  take("{}");
  expect(said()).toEqual([0.25, 0.25]);
});

test("a rate of nothing keeps nothing, and one of all keeps all", () => {
  const rates = new Rates();
  const priorities = (rate: number) => {
    rates.take(Buffer.from(`{"rate_by_service": {"service:,env:": ${rate}}}`));
    return new Set(
      Array.from({ length: 100 }, (_, at) => rateDecision(rates, (at + 1).toString(16).padStart(32, "0"), "shop", "").priority),
    );
  };
  expect([priorities(0), priorities(1), priorities(0.5)]).toEqual([new Set([0]), new Set([1]), new Set([0, 1])]);
});

function reporting() {
  const all: Part[] = [];
  const parts = { all, add: (_: unknown, part: unknown) => void all.push(part as Part) };
  return { parts, tracer: datadogTracer({} as never, { ...names, rates: new Rates() }) };
}
