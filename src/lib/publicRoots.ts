// Whom everybody trusts: the certificates of public authorities, as Mozilla has them. They come with this program, and with it to whoever has
// to verify a server: which file of the machine that runs Envoy has them, nobody here can know.
import { rootCertificates } from "node:tls";

/** PEM. */
export const publicRoots = `${rootCertificates.join("\n")}\n`;
