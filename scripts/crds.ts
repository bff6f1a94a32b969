// The CustomResourceDefinitions of our API: deploy/crds, one file for each kind, and the copy of all that the Helm chart carries.
//
//   npm run generate             also writes these
//   node scripts/crds.ts         writes only these
//   node scripts/crds.ts --check writes nothing; exit 1 when they are not what the protos give
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { crdKinds, crdOf } from "./crds/definition.ts";
import { yaml } from "./yaml.ts";

const root = join(import.meta.dirname, "..");
const folder = "deploy/crds";
const chartCopy = "deploy/helm/headworks/files/crds.jsonl";

if (import.meta.main) process.exitCode = crds(process.argv.includes("--check"));

/** Content by path in the repository. */
export function crdFiles(): Map<string, string> {
  const all = crdKinds.map(crdOf);
  const head = "# Generated from proto/ (npm run generate). The reasons: docs/decisions/0020-crds.md\n";
  const files = all.map((crd) => [`${folder}/${crd.spec.group}_${crd.spec.names.plural}.yaml`, `${head}${yaml(crd)}`] as const);
  // JSON is a third of the size, and a release of Helm must fit into one Secret.
  return new Map([...files, [chartCopy, all.map((crd) => `${JSON.stringify(crd)}\n`).join("")]]);
}

export function crds(onlyCheck: boolean): 0 | 1 {
  const wanted = crdFiles();
  const stale = staleFiles(wanted);
  if (onlyCheck) {
    for (const path of stale) console.error(`${path} is not up to date: run npm run generate`);
    return stale.length > 0 ? 1 : 0;
  }
  rmSync(join(root, folder), { recursive: true, force: true });
  for (const [path, text] of wanted) {
    mkdirSync(dirname(join(root, path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  console.log(`${folder}: ${wanted.size - 1} files`);
  return 0;
}

/** Missing, different, or there without being wanted. */
function staleFiles(wanted: ReadonlyMap<string, string>): string[] {
  const present = listed(folder).map((name) => `${folder}/${name}`);
  const paths = [...new Set([...present, ...wanted.keys()])].sort();
  return paths.filter((path) => contentOf(path) !== wanted.get(path));
}

function listed(path: string): string[] {
  try {
    return readdirSync(join(root, path));
  } catch {
    return [];
  }
}

function contentOf(path: string): string | undefined {
  try {
    return readFileSync(join(root, path), "utf8");
  } catch {
    return undefined;
  }
}
