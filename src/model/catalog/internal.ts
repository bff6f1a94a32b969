// Codes HW9xxx. See ../catalog.ts.
import type { CatalogEntry } from "../catalog.ts";

export const internal = {
  PluginFailed: {
    code: "HW9001",
    title: "a plug-in failed",
    help: "A plug-in threw while it worked on this resource. The resource keeps its last good version; everything else is untouched. The log has the stack. If the plug-in is one of ours, please report it.",
  },
  PluginProblem: {
    code: "HW9002",
    title: "a plug-in's own finding",
    help: "A type that you added in headworks.config.ts reported this. Its documentation explains it.",
  },
} as const satisfies Record<string, CatalogEntry>;
