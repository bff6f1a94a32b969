// All cases.
import { destinations } from "./cases/destinations.ts";
import { routeOptions } from "./cases/route.ts";
import { severalLevels } from "./cases/several-levels.ts";
import type { OptionCase } from "./option-case.ts";

export const cases: readonly OptionCase[] = [...destinations, ...routeOptions, ...severalLevels];
