// Credentials that calls of AWS are signed with: a Secret's or the environment's, as the role that is wanted; kept until shortly before
// they expire. Edge.
import { AwsError } from "./client.ts";
import { assumeRole, type CredentialContext, type ExpiringCredentials, environmentCredentials, webIdentity } from "./credentials.ts";
import type { AwsEndpoints } from "./endpoints.ts";
import type { AwsCredentials } from "./sigv4.ts";

export interface SignerWish {
  readonly region: string;
  /** Of a Secret; absent: the environment's. */
  readonly keys?: AwsCredentials;
  /** Empty: none. */
  readonly roleArn: string;
  /** The web identity of the environment takes the role itself, not by way of its own role. */
  readonly isDirect?: boolean;
}

const renewMs = 60_000;

export class Signer {
  readonly #env: CredentialContext["env"];
  readonly #endpoints: AwsEndpoints;
  #kept: { readonly wish: string; readonly credentials: ExpiringCredentials } | undefined;

  constructor(env: CredentialContext["env"], endpoints: AwsEndpoints) {
    this.#env = env;
    this.#endpoints = endpoints;
  }

  /** Throws when there are none, and when AWS does not give the role. */
  async credentials(wish: SignerWish, signal: AbortSignal): Promise<AwsCredentials> {
    const id = JSON.stringify(wish);
    const kept = this.#kept;
    if (kept?.wish === id && (kept.credentials.expiresAt ?? Number.POSITIVE_INFINITY) > Date.now() + renewMs) return kept.credentials;
    const credentials = await this.#get(wish, { env: this.#env, endpoints: this.#endpoints, region: wish.region, signal });
    this.#kept = { wish: id, credentials };
    return credentials;
  }

  /** They were refused: the next ones are new. */
  forget(): void {
    this.#kept = undefined;
  }

  async #get({ keys, roleArn, isDirect }: SignerWish, context: CredentialContext): Promise<ExpiringCredentials> {
    if (isDirect && keys === undefined) return webIdentity(roleArn, context);
    const base = keys ?? (await environmentCredentials(context));
    if (base === undefined) throw new AwsError("NoCredentials", 0, "neither a Secret nor the environment has credentials");
    return roleArn === "" ? base : assumeRole(roleArn, base, context);
  }
}
