// A file with many objects that a slip of the pen makes unreadable: said once, and the objects serve on.
import { expect, test } from "vitest";
import { backend, folder, run, upstream, virtualService } from "./gateway.ts";

test("a file that is no YAML any more is told once, with its text of now, not once more for each object in it", async () => {
  await using one = await backend("one");
  using config = await folder();
  const objects = [upstream("one", one.port), virtualService("a", "one")].map((each) => JSON.stringify(each)).join("\n---\n");
  config.write("all.yaml", objects);
  await using running = await run(config);
  config.write("all.yaml", `# new\n${objects}\n---\nkind: [\n`);
  await running.said(/HW1001[\s\S]*keep serving their last good versions/);
  expect(running.stderr().match(/HW1001|HW1049/g)).toEqual(["HW1001"]);
  config.write("all.yaml", objects);
  await running.said(/HW1001 is resolved/);
  expect(running.stderr()).not.toContain("HW1049");
});
