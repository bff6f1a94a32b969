import { create } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { UpstreamSpecSchema } from "../../gen/gloo/gloo/projects/gloo/api/v1/options/aws/ec2/aws_ec2_pb.js";
import { endpointsOf } from "./instances.ts";

test("an endpoint carries the ID of its instance; the port is 80 unless one is written", () => {
  const instances = [{ id: "i-1", privateIp: "10.0.0.1", publicIp: "", tags: new Map() }];
  const annotations = { instanceId: "i-1" };
  expect(endpointsOf(create(UpstreamSpecSchema), instances)).toEqual([{ address: "10.0.0.1", port: 80, annotations }]);
  expect(endpointsOf(create(UpstreamSpecSchema, { port: 8080 }), instances)).toMatchObject([{ port: 8080 }]);
  expect(endpointsOf(create(UpstreamSpecSchema, { publicIp: true }), instances)).toEqual([]);
});
