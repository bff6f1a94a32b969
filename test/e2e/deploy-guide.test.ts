// docs/guides/kubernetes.md: its YAML, its Helm commands and its certificates are tried as they stand there. deploy-guide-run.test.ts follows it whole.
import { execFileSync, spawnSync } from "node:child_process";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { loadAll } from "js-yaml";
import { expect, test } from "vitest";
import { chartValues } from "../../scripts/chart/values.ts";
import { chartFolder, kubeVersion } from "../servers/chart.ts";
import { findHelm, helm } from "../servers/helm.ts";
import { headworks } from "./headworks.ts";

const text = readFileSync(join(import.meta.dirname, "../../docs/guides/kubernetes.md"), "utf8");
const blocks = (language: string) =>
  [...text.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\``, "gms"))].map(([, block = ""]) => block);
const folder = () => {
  const path = mkdtempSync(join(tmpdir(), "headworks-guide-"));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
};
const hasOpenssl = spawnSync("openssl", ["version"]).status === 0;

/** What the reader has. */
const service = `---
apiVersion: v1
kind: Service
metadata: { name: petstore, namespace: default }
spec: { ports: [{ port: 8080 }] }
`;

test("its objects have nothing wrong", async () => {
  const objects = blocks("yaml").filter((block) => block.includes("apiVersion:"));
  expect(objects.length).toBeGreaterThan(0);
  for (const block of objects) {
    const { code, stderr, stdout } = await headworks(["check", "-"], { stdin: `${block}${service}` });
    expect(code, stdout + stderr).toBe(0);
  }
});

test("values that it names exist", () => {
  const known = chartValues().map(({ path }) => path);
  const groups = new Set(known.map((path) => path.split(".")[0]));
  const named = [...text.matchAll(/`([a-zA-Z]+(?:\.[a-zA-Z]+)+)(?:=[^`]*)?`/g)].map(([, path = ""]) => path);
  const ours = named.filter((path) => groups.has(path.split(".")[0]));
  expect(ours.length).toBeGreaterThan(5);
  for (const path of ours) expect(known).toContain(path);
});

test.skipIf(findHelm() === undefined)("its Helm commands render, with its file of values", () => {
  using place = folder();
  for (const block of blocks("yaml")) {
    const [, name] = /^# (\S+\.yaml)\n/.exec(block) ?? [];
    if (name) writeFileSync(join(place.path, name), block);
  }
  const commands = blocks("sh").flatMap((block) => block.split("\n").filter((line) => line.startsWith("helm ")));
  expect(commands.length).toBeGreaterThan(3);
  for (const command of commands) {
    const words = command
      .replaceAll('"', "")
      .split(" ")
      .slice(2)
      .filter((word) => word !== "--reuse-values");
    const args = words.map((word) =>
      word === "deploy/helm/headworks" ? chartFolder : word.endsWith(".yaml") ? join(place.path, word) : word,
    );
    expect(loadAll(helm("template", ...args, ...kubeVersion)).length, command).toBeGreaterThan(10);
  }
});

test.skipIf(!hasOpenssl)("its commands make certificates of the names that the chart asks for", () => {
  using place = folder();
  const [commands = ""] = blocks("sh").filter((block) => block.includes("openssl"));
  execFileSync("sh", ["-ec", commands], { cwd: place.path, stdio: "pipe" });
  const read = (name: string) => new X509Certificate(readFileSync(join(place.path, name)));
  const authority = read("ca.crt");
  for (const name of ["headworks.gloo-system.svc", "gateway-proxy"]) {
    const certificate = read(`${name}.crt`);
    expect(certificate.verify(authority.publicKey)).toBe(true);
    expect(certificate.subjectAltName).toBe(`DNS:${name}`);
    expect(text).toContain(`--from-file=tls.crt=${name}.crt`);
  }
});
