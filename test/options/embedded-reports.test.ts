// What is told of requests to others (spans, access logs), observed through the embedded data plane.
import { listeners } from "./cases/listener.ts";
import { throughEmbedded } from "./through-embedded.ts";

// What stands beside an address in front of the bytes is not kept.
const cases = listeners.filter(
  ({ fact, options }) =>
    options.some((each) => /\.tracing$|accessLoggingService$|AccessLoggingService$/.test(each)) && !fact.includes("in front of its bytes"),
);

throughEmbedded(cases);
