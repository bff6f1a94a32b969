// Codes HW4xxx. See ../catalog.ts.
import type { CatalogEntry } from "../catalog.ts";

export const xds = {
  RefusedByEnvoy: {
    code: "HW4001",
    title: "Envoy refused it",
    help: "Headworks found nothing wrong with this resource, but an Envoy refused (NACK) what it was translated to; the message is Envoy's own, with anything that looks like a key blanked. The version is not sent again. The last good version of the resource stays in service, other resources are not touched. Correct the resource; the next version is sent as usual. If the message makes no sense to you, please report it with the resource: Headworks should have said it first.",
  },
} as const satisfies Record<string, CatalogEntry>;
