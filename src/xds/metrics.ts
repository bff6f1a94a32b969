// What the server counts, as plain numbers; the admin server makes Prometheus text of them.
import { typeUrls } from "../model/envoy-resource.ts";

const published: ReadonlySet<string> = new Set(Object.values(typeUrls));

export interface TypeCounts {
  /** Responses sent. */
  pushes: number;
  /** Resources in them. */
  resources: number;
  /** Bytes of them, before compression and framing. */
  bytes: number;
  acks: number;
  nacks: number;
}

export interface XdsMetrics {
  /** Streams open now, and ever. */
  streams: number;
  streamsTotal: number;
  clients: number;
  /** Streams that we ended, by status. */
  readonly ended: Readonly<Record<string, number>>;
  readonly types: Readonly<Record<string, Readonly<TypeCounts>>>;
}

export class Metrics implements XdsMetrics {
  streams = 0;
  streamsTotal = 0;
  clients = 0;
  readonly ended: Record<string, number> = Object.create(null);
  readonly types: Record<string, TypeCounts> = Object.create(null);

  /** Types that nobody publishes are counted together: their names are the clients' choice, and endless. */
  of(typeUrl: string): TypeCounts {
    const key = published.has(typeUrl) ? typeUrl : "other";
    let counts = this.types[key];
    if (counts === undefined) {
      counts = { pushes: 0, resources: 0, bytes: 0, acks: 0, nacks: 0 };
      this.types[key] = counts;
    }
    return counts;
  }

  end(reason: string): void {
    this.ended[reason] = (this.ended[reason] ?? 0) + 1;
  }
}
