// Compiles what `npm start` loads, into Node's compile cache: run once after an installation, so that the first start is as fast as
// the next ones.
import { flushCompileCache } from "node:module";

await Promise.all([
  import("../src/cli/program.ts"),
  import("../src/cli/demo.ts"),
  import("../src/cli/serve.ts"),
  import("../src/cli/petstore.ts"),
  import("../src/dataplane/dataplane.ts"),
  import("../src/admin/server.ts"),
  import("../src/admin/metrics.ts"),
]);
flushCompileCache();
process.exit(0);
