// Certificates for tests, made by openssl on the spot: nothing that expires lies in the repository.

import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface KeyPair {
  readonly certificate: string;
  readonly key: string;
}

export interface Certificates extends Disposable {
  readonly folder: string;
  /** Signed by itself; good as an authority too. */
  selfSigned(name: string): KeyPair;
  /** @param names alternative ones, as openssl takes them */
  signed(name: string, authority: KeyPair, names?: string): KeyPair;
}

export function certificates(): Certificates {
  const folder = mkdtempSync(join(tmpdir(), "certificates-"));
  let made = 0;
  const create = (name: string, names = `DNS:${name}`, ...how: string[]): KeyPair => {
    const file = `${made++}`;
    const key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", `${file}.key`];
    const subject = ["-out", `${file}.crt`, "-days", "1", "-subj", `/CN=${name}`, "-addext", `subjectAltName=${names}`];
    execFileSync("openssl", ["req", "-x509", ...key, ...subject, ...how], { cwd: folder, stdio: "pipe" });
    const read = (ending: string) => readFileSync(join(folder, `${file}.${ending}`), "utf8");
    return { certificate: read("crt"), key: read("key") };
  };
  return {
    folder,
    selfSigned: (name) => create(name),
    signed(name, authority, names) {
      const files = [join(folder, `ca-${made}.crt`), join(folder, `ca-${made}.key`)] as const;
      writeFileSync(files[0], authority.certificate);
      writeFileSync(files[1], authority.key);
      return create(name, names, "-CA", files[0], "-CAkey", files[1], "-addext", "basicConstraints=critical,CA:FALSE");
    },
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  };
}
