// The HTTP filters that the embedded data plane executes. The router is what it is itself.

import { cors } from "./cors.ts";
import type { AnyHttpFilter } from "./http-filter.ts";

export const httpFilters: readonly AnyHttpFilter[] = [cors];
