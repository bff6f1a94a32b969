// Commands that write to a folder, and those that read labels, routes and addresses of it.
import { chmodSync, cpSync, existsSync, lstatSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeEach, describe, expect, test } from "vitest";
import { commandHere } from "./command-here.ts";
import { headworks } from "./headworks.ts";

const root = mkdtempSync(join(tmpdir(), "headworks-write-"));
afterAll(() => rmSync(root, { recursive: true }));

const petstore = join(import.meta.dirname, "../../examples/petstore");
let folder = "";
beforeEach(() => {
  folder = mkdtempSync(join(root, "config-"));
  cpSync(petstore, folder, { recursive: true });
});

const routes = () => readFileSync(join(folder, "routes.yaml"), "utf8");
/** Of the words of a line; `FOLDER` is the folder. */
const wordsOf = (line: string) => line.split(" ").map((word) => (word === "FOLDER" ? folder : word));
const run = (line: string, env?: Record<string, string>) => commandHere(wordsOf(line), env);
const withStdin = (line: string, stdin: string) => headworks(wordsOf(line), { stdin });

describe("create", () => {
  test("an Upstream becomes a file where Gloo's file layout has it, and is judged", async () => {
    const made = await run("create upstream static web --static-hosts 10.0.0.1:81,[::1]:82,api.example -f FOLDER");
    expect(made).toMatchObject({ code: 0, stdout: "" });
    const file = join(folder, "upstreams/gloo-system/web.yaml");
    expect(made.stderr).toBe(`created Upstream gloo-system/web in ${file}\n`);
    const listed = await run("get us web -f FOLDER -o json");
    expect(JSON.parse(listed.stdout)).toMatchObject({
      spec: {
        static: {
          hosts: [
            { addr: "10.0.0.1", port: 81 },
            { addr: "::1", port: 82 },
            { addr: "api.example", port: 80 },
          ],
        },
      },
      status: { statuses: { "gloo-system": { state: "Accepted" } } },
    });
  });

  test("a name that is taken is refused with the place of who has it", async () => {
    const made = await run("create upstream static petstore --static-hosts 10.0.0.1:81 -f FOLDER");
    expect(made).toMatchObject({ code: 4, stdout: "" });
    expect(made.stderr).toContain(`error: Upstream gloo-system/petstore is there already: ${folder}/upstreams.yaml:`);
  });

  test("what is wrong with it is shown with its place, and it is there", async () => {
    const made = await run("create vs other --domains * -f FOLDER");
    expect(made.code).toBe(1);
    expect(made.stderr).toContain(`created VirtualService gloo-system/other in ${folder}/virtualservices/gloo-system/other.yaml`);
    expect(made.stderr).toMatch(/✖ .*virtualservices\/gloo-system\/other\.yaml:\d+:\d+ {2}HW\d+ /);
  });

  test("--file adds it to a file with others, which stay as they are", async () => {
    const before = routes();
    expect((await run("create upstreamgroup canary --weighted-upstreams gloo-system.petstore=90 -f FOLDER --file routes.yaml")).code).toBe(
      0,
    );
    expect(routes().startsWith(`${before}---\napiVersion: gloo.solo.io/v1\nkind: UpstreamGroup\n`)).toBe(true);
    const refused = async (file: string) =>
      (await run(`create upstreamgroup b --weighted-upstreams a.b=1 -f FOLDER --file ${file}`)).stderr.trim();
    expect(await refused("../x.yaml")).toBe(`error: --file is a file within ${folder}; ../x.yaml is not`);
    expect(await refused("..x.yaml")).toBe("error: --file has a name that begins with a dot, and nobody reads those; it is ..x.yaml");
  });

  test("--dry-run prints what can be applied, and needs neither folder nor cluster", async () => {
    const made = await run("create upstream kube petstore --kube-service petstore --kube-service-port 8080 --dry-run");
    expect(made).toMatchObject({ code: 0, stderr: "" });
    expect(made.stdout).toContain("kind: Upstream\n");
    expect(made.stdout).toContain("servicePort: 8080\n");
  });

  test("secrets come from files and stdin, never from the command line; a file of them is for its owner only", async () => {
    const refused = await run("create secret aws keys --secret-key abc -f FOLDER");
    expect(refused).toMatchObject({ code: 2, stdout: "" });
    expect(refused.stderr).toContain("would show the secret to every user of this machine");
    const stdin = "# keys\n[default]\naws_access_key_id = AK\naws_secret_access_key=S=K\n";
    expect((await withStdin("create secret aws keys --from-file - -f FOLDER", stdin)).code).toBe(0);
    const file = join(folder, "secrets/gloo-system/keys.yaml");
    expect(statSync(file).mode & 0o077).toBe(0);
    expect(readFileSync(file, "utf8")).toContain(`aws_secret_access_key: ${Buffer.from("S=K").toString("base64")}`);
    expect((await run("get secrets -f FOLDER")).stdout).toContain("keys     aws");
    const broken = await withStdin("create secret header h --from-file - -f FOLDER", "hunter2\n");
    expect(broken.stderr).toContain("line 1, is not key=value");
    expect(broken.stderr).not.toContain("hunter2");
    // A file that stands where the new one is written first gives it neither its place nor its mode.
    const victim = join(folder, "victim.txt");
    writeFileSync(victim, "mine");
    symlinkSync(victim, join(folder, "secrets/gloo-system/.more.yaml.tmp"));
    chmodSync(file, 0o640);
    expect((await withStdin("create secret aws more --from-file - -f FOLDER", stdin)).code).toBe(0);
    const more = ["--file", "secrets/gloo-system/keys.yaml"].join(" ");
    expect((await withStdin(`create secret aws third --from-file - -f FOLDER ${more}`, stdin)).code).toBe(0);
    expect(readFileSync(victim, "utf8")).toBe("mine");
    expect(lstatSync(join(folder, "secrets/gloo-system/more.yaml")).mode & 0o170777).toBe(0o100600);
    expect(statSync(file).mode & 0o777).toBe(0o640);
    const env = { AWS_ACCESS_KEY_ID: "AK", AWS_SECRET_ACCESS_KEY: "" };
    expect((await run("create secret aws k2 --from-env --dry-run", env)).stderr).toContain("needs aws_secret_access_key");
  });
});

describe("routes", () => {
  test("a route is added where the options say, and the file keeps its comments", async () => {
    const before = routes();
    const added = await run(
      "add route --path-exact /new -m get,post -d x-a=b.* --dest-name petstore --prefix-rewrite / -x 1 --folder FOLDER",
    );
    expect(added).toMatchObject({ code: 0, stdout: "" });
    expect(added.stderr).toBe(`added route 1 to VirtualService gloo-system/petstore in ${folder}/routes.yaml\n`);
    const withoutAdded = routes().replace(/ {6}- matchers:\n {10}- exact: \/new\n[\s\S]*?prefixRewrite: \/\n/, "");
    expect(withoutAdded).toBe(before);
    const listed = await run("get vs route petstore -f FOLDER");
    expect(listed.stdout).toMatch(/^1 +\/new +Exact Path +GET POST +x-a:b\.\* +gloo-system\.petstore$/m);
    expect((await run("remove route petstore -x 1 -f FOLDER")).code).toBe(0);
    expect(routes()).toBe(before);
  });

  test("without a VirtualService for all domains, one is made", async () => {
    rmSync(join(folder, "routes.yaml"));
    const added = await run("add route --path-prefix /api --dest-name petstore --folder FOLDER -o name");
    expect(added).toMatchObject({ code: 0, stdout: "virtualservice/default\n" });
    expect((await run("get vs route default -f FOLDER")).stdout).toContain("/api");
  });

  test("a mistake in a name is a warning that knows better; --dry-run writes nothing", async () => {
    const before = routes();
    const dry = await run("add route --dest-name petstor --folder FOLDER --dry-run");
    expect(dry.stdout).toContain("name: petstor\n");
    expect(routes()).toBe(before);
    const added = await run("add route -p /x --dest-name petstor --folder FOLDER");
    expect(added.code).toBe(0);
    expect(added.stderr).toMatch(/HW2030[\s\S]*did you mean petstore\?/);
  });

  test("what cannot be done is said in one line, with an exit code, and nothing is written", async () => {
    const lines: [string, number, string][] = [
      ["add route petstor --dest-name petstore --folder FOLDER", 1, "did you mean petstore?"],
      ["remove route -x 99 -f FOLDER", 1, "has no route 99: it has 4, the last is 3"],
      ["add route --dest-name petstore -f FOLDER", 2, "the folder is --folder"],
      ["add route --dest-name petstore", 2, "where to? --folder DIR, or a cluster"],
      ["add route --path-prefix api --dest-name petstore --folder FOLDER", 2, 'a path begins with "/"; no request has "api"'],
      ["explain GET /api --server http://127.0.0.1:1", 3, "a folder with `explain METHOD URL DIR`"],
      ["delete us petstore -n shop -f FOLDER", 1, "there is one in namespace gloo-system"],
      ["delete proxy gateway-proxy -f FOLDER", 4, "Proxies are computed"],
      ["check FOLDER --source kubernetes", 2, "--source kubernetes means a cluster"],
      ["create us static Web --static-hosts a:1 -f FOLDER", 2, "small letters"],
    ];
    const before = routes();
    for (const [line, code, message] of lines) {
      const ended = await run(line);
      expect(ended.stderr).toContain(message);
      expect(ended, line).toMatchObject({ code, stdout: "" });
    }
    expect(routes()).toBe(before);
  });
});

test("delete takes an object out of its file, and the file with the last one", async () => {
  await run("create upstream static web --static-hosts 10.0.0.1:81 -f FOLDER");
  const deleted = await run("delete us web -f FOLDER");
  expect(deleted).toMatchObject({ code: 0, stderr: `deleted Upstream gloo-system/web from ${folder}/upstreams/gloo-system/web.yaml\n` });
  expect(existsSync(join(folder, "upstreams/gloo-system/web.yaml"))).toBe(false);
  // What others lose by it is said.
  const harmful = await run("delete us petstore -f FOLDER");
  expect(harmful.stderr).toContain("HW2030");
});

test("get picks by label, prints what kubectl takes, and leaves secrets out of that", async () => {
  const labelled = (name: string, labels: string) =>
    `apiVersion: gloo.solo.io/v1\nkind: Upstream\nmetadata: {name: ${name}, namespace: gloo-system, labels: {${labels}}}\nspec: {static: {hosts: [{addr: a, port: 1}]}}\n`;
  writeFileSync(join(folder, "more.yaml"), `${labelled("one", "team: a, tier: x")}---\n${labelled("two", "team: b")}`);
  const names = async (selector: string) =>
    (await commandHere(["get", "us", "-f", folder, "-o", "name", "-l", selector])).stdout.trim().split("\n");
  expect(await names("team=a")).toEqual(["upstreams/one"]);
  expect(await names("team in (a, b),tier!=x")).toEqual(["upstreams/two"]);
  expect(await names("!team")).toEqual(["upstreams/petstore"]);
  const yaml = await run("get us -f FOLDER -l team -o kube-yaml");
  expect(yaml.stdout).not.toContain("status");
  expect((await withStdin("check -", yaml.stdout)).code).toBe(0);
  expect((await run("get secrets -f FOLDER -o kube-yaml")).code).toBe(2);
});

test("proxy url prints the URL and nothing else", async () => {
  expect(await run("proxy url -f FOLDER")).toMatchObject({ code: 0, stdout: "http://127.0.0.1:8080\n", stderr: "" });
  expect((await run("proxy address -f FOLDER")).stdout).toBe("127.0.0.1:8080\n");
  expect((await run("proxy url -f FOLDER --port https")).code).toBe(1);
});
