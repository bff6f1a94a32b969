// All cases.
import { authConfigs } from "./cases/auth-configs.ts";
import { connectionManager } from "./cases/connection-manager.ts";
import { destinations } from "./cases/destinations.ts";
import { leading } from "./cases/leading.ts";
import { listeners } from "./cases/listener.ts";
import { routeOptions } from "./cases/route.ts";
import { services } from "./cases/services.ts";
import { severalLevels } from "./cases/several-levels.ts";
import { tokens } from "./cases/tokens.ts";
import { withoutEffect } from "./cases/without-effect.ts";
import type { OptionCase } from "./option-case.ts";

export const cases: readonly OptionCase[] = [
  ...destinations,
  ...connectionManager,
  ...listeners,
  ...routeOptions,
  ...severalLevels,
  ...services,
  ...tokens,
  ...authConfigs,
  ...leading,
  ...withoutEffect,
];
