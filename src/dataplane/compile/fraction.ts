// A share of requests that something is done for.

import type { RuntimeFractionalPercent } from "../../gen/envoy/envoy/config/core/v3/base_pb.js";
import type { FractionalPercent } from "../../gen/envoy/envoy/type/v3/percent_pb.js";
import { fractionOf } from "./route-match.ts";

/** Drawn anew each time it is asked. */
export type Fraction = () => boolean;

/** Without one, it is done for all. */
export function compileFraction(fraction: RuntimeFractionalPercent | undefined): Fraction {
  return drawn(fraction?.defaultValue === undefined ? 1 : fractionOf(fraction.defaultValue));
}

/** Without one, it is done for none. */
export function compilePercentage(percentage: FractionalPercent | undefined): Fraction {
  return drawn(percentage === undefined ? 0 : fractionOf(percentage));
}

function drawn(share: number): Fraction {
  if (share >= 1) return () => true;
  return share <= 0 ? () => false : () => draw() < share;
}

let draw: () => number = Math.random;

/** Runs something with the luck that most requests have: for who only tries one, and would like to hear the same twice. */
export function asForMost<T>(run: () => T): T {
  draw = () => 0.5;
  try {
    return run();
  } finally {
    draw = Math.random;
  }
}
