// How the sources become a bundle that starts fast, for what is published (build.ts) and for what runs in a checkout (bundle.ts).
import { join } from "node:path";
import type { OutputOptions, Plugin } from "rolldown";

const root = join(import.meta.dirname, "..");

/**
 * Every command loads what `program.ts` imports, and those that read configuration what `check.ts` and `folders.ts` import. By itself rolldown
 * makes a chunk of each set of modules that the same commands share: seventy files, each found, opened and compiled by itself. Two
 * chunks are what each of these commands loads anyway.
 */
const together = { start: ["src/cli/program.ts"], core: ["src/cli/check.ts", "src/cli/folders.ts"] };

export function bundling(): { readonly plugins: Plugin[]; readonly output: OutputOptions } {
  const groups = Object.entries(together).map(([name, entries]) => ({ name, entries, modules: new Set<string>() }));
  const grouping: Plugin = {
    name: "what is loaded together",
    buildEnd() {
      for (const { entries, modules } of groups) {
        const pending = entries.map((entry) => join(root, entry));
        for (let id = pending.pop(); id !== undefined; id = pending.pop()) {
          const info = modules.has(id) ? null : this.getModuleInfo(id);
          modules.add(id);
          pending.push(...(info?.importedIds ?? []));
        }
      }
    },
  };
  return {
    plugins: [grouping, builtinsWithoutTheirExports, messagesWhenTheyCome],
    output: {
      format: "esm",
      minify: { compress: true, mangle: { keepNames: true }, codegen: true },
      codeSplitting: {
        groups: groups.map(({ name, modules }, index) => ({
          name,
          test: (id) => modules.has(id),
          priority: groups.length - index,
        })),
      },
    },
  };
}

/**
 * `import … from "node:util"` reads each export of it, and for some of them Node loads much that nothing here needs: worker threads for
 * util, undici for http. What is named is taken from the module itself.
 */
const builtinsWithoutTheirExports: Plugin = {
  name: "builtins without their exports",
  renderChunk(code) {
    return code.replace(
      /^import\s*(\{[^}]*\}|[\w$]+)\s*from\s*(["'`]node:[\w/]+["'`]);/gm,
      (_, names: string, id: string) => `const ${names.replaceAll(" as ", ": ")} = process.getBuiltinModule(${id});`,
    );
  },
};

/**
 * protobuf-es 2.17 compiles the code that reads, writes and creates a message together with that of all messages that could be in it, and
 * reads their fields for it. Of the hundreds that an Envoy listener could hold, a handful are there. Compiled when they come, `check` takes
 * a tenth less.
 */
const messagesWhenTheyCome: Plugin = {
  name: "messages when they come",
  transform(code, id) {
    for (const [file, written, wanted] of laterInProtobuf) {
      if (!id.replaceAll("\\", "/").endsWith(`@bufbuild/protobuf/dist/esm/${file}`)) continue;
      if (!code.includes(written)) throw new Error(`${file} of protobuf-es is another than scripts/bundling.ts knows: ${written}`);
      code = code.replace(written, wanted);
    }
    return code;
  },
};

const laterInProtobuf: readonly (readonly [file: string, written: string, wanted: string])[] = [
  [
    "wkt/wrappers.js",
    "const f = messageDesc.fields[0];\n    return (isWrapperTypeName(messageDesc.typeName) &&",
    "const f = isWrapperTypeName(messageDesc.typeName) ? messageDesc.fields[0] : undefined;\n    return (f !== undefined &&",
  ],
  [
    "to-binary.js",
    "const writeMessage = compiledWriter(field.message);\n    if (field.delimitedEncoding)",
    "let compiled;\n    const writeMessage = (writer, opts, child) => (compiled ??= compiledWriter(field.message))(writer, opts, child);\n    if (field.delimitedEncoding)",
  ],
  [
    "from-binary.js",
    "const compiledChild = compiledReader(field.message);",
    "let compiled;\n    const compiledChild = {\n        read: (child, reader, ctx, end) => (compiled ??= compiledReader(field.message)).read(child, reader, ctx, end),\n        readGroup: (child, reader, ctx, no) => (compiled ??= compiledReader(field.message)).readGroup(child, reader, ctx, no),\n    };",
  ],
];
