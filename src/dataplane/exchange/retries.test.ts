// How long a request waits before it is tried again.

import { expect, test } from "vitest";
import { mostBackOffMs } from "./retries.ts";

test("the first retry waits for the base interval at most, each further one for twice as long, up to the limit", () => {
  const most = [1, 2, 3, 4, 5, 6].map((attempts) => mostBackOffMs({ baseMs: 25, maxMs: 250 }, attempts));
  expect(most).toEqual([25, 50, 100, 200, 250, 250]);
});
