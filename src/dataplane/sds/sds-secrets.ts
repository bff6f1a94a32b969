// The secrets of the users' own SDS servers: those that listeners and clusters in service name, kept while they do. A server that is gone takes no
// secret away, as in Envoy.

import type { SecretSource } from "../compile/secret-source.ts";
import { compileSecretBytes, type PublishedSecret } from "../secrets.ts";
import { SdsStream } from "./sds-stream.ts";

export interface SdsSecretsListener {
  /** Undefined: it is there, and the newest. */
  onProblem(source: SecretSource, problem: string | undefined): void;
}

interface Followed {
  readonly stream: SdsStream;
  secret: PublishedSecret | undefined;
}

export class SdsSecrets {
  readonly #node: string;
  readonly #listener: SdsSecretsListener;
  readonly #followed = new Map<string, Followed>();

  /** @param node the role that servers are asked in */
  constructor(node: string, listener: SdsSecretsListener) {
    this.#node = node;
    this.#listener = listener;
  }

  get(key: string): PublishedSecret | undefined {
    return this.#followed.get(key)?.secret;
  }

  /** These are named now, by key. Returns those that no longer are. */
  follow(sources: ReadonlyMap<string, SecretSource>): readonly string[] {
    const gone = [...this.#followed.keys()].filter((key) => !sources.has(key));
    for (const key of gone) {
      this.#followed.get(key)?.stream.close();
      this.#followed.delete(key);
    }
    for (const [key, source] of sources) if (!this.#followed.has(key)) this.#start(key, source);
    return gone;
  }

  #start(key: string, source: SecretSource): void {
    const followed: Followed = {
      secret: undefined,
      stream: new SdsStream(source, this.#node, {
        onSecret: (bytes) => this.#onSecret(source, followed, bytes),
        onTrouble: (why) => this.#tell(source, followed, why),
      }),
    };
    this.#followed.set(key, followed);
    followed.stream.start();
  }

  #onSecret(source: SecretSource, followed: Followed, bytes: Uint8Array): string | undefined {
    try {
      const { name, secret } = compileSecretBytes(bytes);
      if (name !== source.name) throw new Error(`it is the secret ${name}`);
      if (secret?.certificate === undefined && secret?.validation === undefined) throw new Error("it is no certificate and no authority");
      followed.secret = secret;
      this.#listener.onProblem(source, undefined);
      return undefined;
    } catch (error) {
      const why = (error as Error).message;
      this.#tell(source, followed, `what came cannot be used: ${why}`);
      return why;
    }
  }

  #tell(source: SecretSource, { secret }: Followed, why: string): void {
    const consequence = secret === undefined ? "until it comes, no connection that needs it is made" : "the one before serves on";
    this.#listener.onProblem(source, `secret ${source.name} of the SDS server ${source.server.target}: ${why}; ${consequence}`);
  }

  close(): void {
    this.follow(new Map());
  }
}
