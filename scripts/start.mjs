// `npm start`: the demo; with arguments, any command of the CLI.
import { runWithNode } from "./with-node.mjs";

const args = process.argv.slice(2);
runWithNode("src/main.ts", args.length > 0 ? args : ["demo"], process.env.INIT_CWD);
