// A share of requests that something is done for.

import type { RuntimeFractionalPercent } from "../../gen/envoy/envoy/config/core/v3/base_pb.js";
import { fractionOf } from "./route-match.ts";

/** Drawn anew each time it is asked. */
export type Fraction = () => boolean;

/** Without one, it is done for all. */
export function compileFraction(fraction: RuntimeFractionalPercent | undefined): Fraction {
  const share = fraction?.defaultValue === undefined ? 1 : fractionOf(fraction.defaultValue);
  if (share >= 1) return () => true;
  return share <= 0 ? () => false : () => Math.random() < share;
}
