// Percentages of the API as fractions of Envoy.
import { FractionalPercent_DenominatorType as Denominator } from "../gen/envoy/envoy/type/v3/percent_pb.js";

const mostInField = 4_294_967_295;

/**
 * Of 100, counted in single precision as Gloo does; what is above is more than all, as it is written. A number that is none (`NaN` is
 * one in proto-JSON) is nothing.
 */
export function perMillion(percentage: number) {
  const numerator = Number.isNaN(percentage)
    ? 0
    : Math.min(mostInField, Math.max(0, Math.trunc(Math.fround(Math.fround(percentage) * 10_000))));
  return { numerator, denominator: Denominator.MILLION };
}
