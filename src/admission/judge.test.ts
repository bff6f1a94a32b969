// Who is let in whatever Settings say.
import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { SettingsSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/settings_pb.js";
import { problem } from "../model/problem.ts";
import type { Resource } from "../model/resource.ts";
import { type Judging, judge } from "./judge.ts";
import { parseReview } from "./review.ts";

const settings = create(SettingsSchema, { gateway: { validation: { alwaysAccept: false, allowWarnings: false } } });
const judging: Judging = {
  settings,
  resourceOf: () => ({ key: "Upstream shop/web", kind: "Upstream" }) as unknown as Resource,
  tryOut: () => [problem("warning", "VirtualService till/a" as never, "UpstreamNotFound", "it is gone")],
};
const reviewOf = (operation: string, username?: string) => {
  const object = { apiVersion: "gloo.solo.io/v1", kind: "Upstream", metadata: { namespace: "shop", name: "web" } };
  const request = {
    uid: "1",
    operation,
    oldObject: object,
    ...(operation !== "DELETE" && { object: { ...object, spec: {} } }),
    userInfo: { username },
  };
  return parseReview(JSON.stringify({ apiVersion: "admission.k8s.io/v1", kind: "AdmissionReview", request }));
};

test("what others still need is not deleted by a user; with its namespace or its owner it goes all the same", () => {
  expect(judge(reviewOf("DELETE", "ann"), judging)).toMatchObject({ allowed: false });
  expect(judge(reviewOf("DELETE"), judging)).toMatchObject({ allowed: false });
  for (const each of ["namespace-controller", "generic-garbage-collector"]) {
    const user = `system:serviceaccount:kube-system:${each}`;
    expect(judge(reviewOf("DELETE", user), judging)).toEqual({ allowed: true });
    expect(judge(reviewOf("UPDATE", user), judging)).toMatchObject({ allowed: false });
  }
});
