// Read at the start from the working directory: `cd examples/custom-type && headworks run config/`.
import { defineConfig } from "../../src/index.ts";
import { hostsFile } from "./hosts-file.ts";

export default defineConfig({ upstreamTypes: [hostsFile] });
