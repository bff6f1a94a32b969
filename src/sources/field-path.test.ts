import fc from "fast-check";
import { expect, test } from "vitest";
import { formatPath, parsePath } from "./field-path.ts";

test("paths are printed as YAML users write them", () => {
  expect(formatPath(["virtualHost", "routes", 2, "options", "timeout"])).toBe("virtualHost.routes[2].options.timeout");
  expect(formatPath(["metadata", "labels", "example.com/tier"])).toBe('metadata.labels["example.com/tier"]');
});

test("what is printed is read back, whatever the keys", () => {
  const segment = fc.oneof(fc.string(), fc.nat(1_000));
  fc.assert(
    fc.property(fc.array(segment, { maxLength: 6 }), (segments) => {
      expect(parsePath(formatPath(segments))).toEqual(segments);
    }),
  );
});
