import { expect, test } from "vitest";
import { table } from "./table.ts";

test("columns are as wide as their widest cell, and a cell never breaks its row", () => {
  expect(
    table(
      ["NAME", "STATUS"],
      [
        ["petstore", "Accepted"],
        ["a", "two\nlines"],
      ],
    ),
  ).toBe("NAME       STATUS\npetstore   Accepted\na          two lines\n");
});
