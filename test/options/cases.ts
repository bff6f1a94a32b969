// All cases.
import { destinations } from "./cases/destinations.ts";
import type { OptionCase } from "./option-case.ts";

export const cases: readonly OptionCase[] = [...destinations];
