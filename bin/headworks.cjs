#!/usr/bin/env node
// The door of the package. Old syntax on purpose: an old Node must get as far as the line that says so.
"use strict";
var need = [24, 11];
var have = process.versions.node.split(".").map(Number);
if (have[0] < need[0] || (have[0] === need[0] && have[1] < need[1])) {
  console.error(
    "headworks needs Node " +
      need.join(".") +
      " or later; this is " +
      process.versions.node +
      ". One way: npx -p node@24 -p headworks headworks " +
      process.argv.slice(2).join(" "),
  );
  process.exit(2);
}
import("../dist/main.js").catch((error) => {
  console.error(error);
  process.exit(70);
});
