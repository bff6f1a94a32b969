// A host as balancers see it.

export interface Candidate {
  /** `address:port`, as Envoy writes it. */
  readonly label: string;
  readonly isHealthy: boolean;
  readonly isDegraded: boolean;
  activeRequests: number;
  readonly spec: {
    readonly weight: number;
    readonly priority: number;
    readonly hostname: string;
    /** What it is hashed by, where its metadata says so. */
    readonly hashKey: string | undefined;
    readonly locality: { readonly key: string; readonly weight: number };
    /** `envoy.lb` metadata, which subsets go by. */
    readonly lbMetadata: Readonly<Record<string, unknown>> | undefined;
  };
}

/** What is known of the request when its host is picked. */
export interface PickContext {
  /** 64 bits; undefined: nothing to hash by. */
  readonly hash: bigint | undefined;
  /** Metadata that its hosts must have, by sorted key. */
  readonly subset: SubsetCriteria | undefined;
}

export interface SubsetCriteria {
  readonly keys: readonly string[];
  readonly values: Readonly<Record<string, unknown>>;
}

export const noContext: PickContext = { hash: undefined, subset: undefined };
