// `includeRequestAttemptCount` and `includeAttemptCountInResponse` of a virtual host.
import type { Feature } from "../plugin/feature.ts";

export const attemptCounts: Feature = {
  name: "attemptCounts",
  glooName: "basicroute",
  fields: { virtualHost: ["includeRequestAttemptCount", "includeAttemptCountInResponse"] },
  virtualHost: (host, { includeRequestAttemptCount, includeAttemptCountInResponse }) => ({
    ...host,
    ...(includeRequestAttemptCount && { includeRequestAttemptCount }),
    ...(includeAttemptCountInResponse && { includeAttemptCountInResponse }),
  }),
};
