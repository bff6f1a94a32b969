#!/usr/bin/env node
// The binary: argv to a command, nothing more.
import { main } from "./cli/program.ts";

await main(process.argv);
