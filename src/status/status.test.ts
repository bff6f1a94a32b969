import { expect, test } from "vitest";
import { problem } from "../model/problem.ts";
import { statusOf } from "./status.ts";

const error = (message: string, statusText?: string) =>
  problem("error", undefined, "OptionInvalid", message, { ...(statusText && { statusText }) });
const warning = (message: string) => problem("warning", undefined, "UpstreamNotFound", message);

test("no problem is Accepted, with an empty reason", () => {
  expect(statusOf([])).toEqual({ state: "Accepted", reason: "", reportedBy: "gloo", subresourceStatuses: {} });
});

test("errors and warnings are joined as Gloo joins them", () => {
  const { state, reason } = statusOf([warning("w1"), error("e1"), error("e2"), warning("w2")]);
  expect(state).toBe("Rejected");
  expect(reason).toBe("2 errors occurred:\n\t* e1\n\t* e2\n\n\nwarning: \n  w1\nw2");
});

test("what a proxy found rejects the resource too, so that the culprit is named", () => {
  const status = statusOf([], new Map([["gateway-proxy_gloo-system", [error("bad", "Route Error: ProcessingError. Reason: bad")]]]));
  expect(status.state).toBe("Rejected");
  expect(status.subresourceStatuses["*v1.Proxy.gateway-proxy_gloo-system"]).toEqual({
    state: "Rejected",
    reason: "1 error occurred:\n\t* Route Error: ProcessingError. Reason: bad\n\n",
    reportedBy: "gloo",
  });
});

test("the same text is said once", () => {
  expect(statusOf([error("e"), error("e")]).reason).toBe("1 error occurred:\n\t* e\n\n");
});

test("a reason has at most 1024 bytes, cut between characters", () => {
  const { reason } = statusOf([error("ü".repeat(2000))]);
  expect(Buffer.byteLength(reason)).toBeLessThanOrEqual(1024);
  expect(reason).toMatch(/ü… \(more: `headworks check`\)$/);
});

test("an Upstream with errors is a Warning, as in Gloo", () => {
  const status = statusOf([error("addr cannot be empty for host")], undefined, "Upstream");
  expect(status.state).toBe("Warning");
  expect(status.reason).toBe("warning: \n  1 error occurred:\n\t* addr cannot be empty for host\n\n");
});
