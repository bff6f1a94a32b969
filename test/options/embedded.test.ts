// Options that keep requests out, or have them changed by others, observed through the embedded data plane: what it does not do itself, it must not let
// pass.
import { authConfigs } from "./cases/auth-configs.ts";
import { leading } from "./cases/leading.ts";
import { services, unasked, uncounted } from "./cases/services.ts";
import { tokens } from "./cases/tokens.ts";
import { throughEmbedded } from "./through-embedded.ts";

const keys = services.filter(({ fact }) => fact.includes("API key"));
const processing = services.filter(({ options }) => options.some((each) => each.includes("extProc")));
// Of those that are refused, one of a kind is enough.
const checks = authConfigs.filter(({ options }) => options.length > 0);
const cases = [...tokens, ...leading, ...checks, ...keys, ...processing, ...unasked, ...uncounted];

throughEmbedded(cases);
