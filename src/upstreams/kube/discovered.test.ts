import { expect, test } from "vitest";
import { discoveredName } from "./discovered.ts";

test("a long name ends in a hash, as Gloo's do", () => {
  expect(discoveredName({ namespace: "shop", name: "till" }, 80)).toBe("shop-till-80");
  const name = discoveredName({ namespace: "a-rather-long-namespace", name: "and-a-service-with-a-name-that-is-long" }, 8080);
  expect(name).toBe("a-rather-long-namespace-and-a-s-2f84d0bb707ff94e56cafb537fd6a17");
  expect(name).toHaveLength(63);
});
