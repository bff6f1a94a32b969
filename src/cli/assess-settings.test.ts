import type { DescMessage } from "@bufbuild/protobuf";
import { expect, test } from "vitest";
import { SettingsSchema } from "../gen/gloo/gloo/projects/gloo/api/v1/settings_pb.js";
import { knownPaths, notesOnSettings } from "./assess-settings.ts";

const ref = { namespace: "gloo-system", name: "default" };

test.each(knownPaths)("%s is a field of Settings", (path) => {
  let message: DescMessage | undefined = SettingsSchema;
  for (const name of path.split(".")) {
    const field: DescMessage["fields"][number] | undefined = message?.fields.find((each) => each.jsonName === name);
    expect(field, name).toBeDefined();
    message = field?.message;
  }
});

test("what is not set, off or empty is not worth a word", () => {
  expect(notesOnSettings(ref, {})).toEqual([]);
  expect(notesOnSettings(ref, undefined)).toEqual([]);
  expect(notesOnSettings(ref, { devMode: false, watchNamespaceSelectors: [], gateway: { enableGatewayController: true } })).toEqual([]);
});

test("a source of secrets that is not read blocks; an enterprise part is named as such", () => {
  expect(notesOnSettings(ref, { vaultSecretSource: {}, cachingServer: {}, gateway: { enableGatewayController: false } })).toMatchObject([
    { subject: "Settings gloo-system/default vaultSecretSource", weight: "blocks" },
    { subject: "Settings gloo-system/default gateway.enableGatewayController" },
    { subject: "Settings gloo-system/default cachingServer", isEnterprise: true },
  ]);
});
