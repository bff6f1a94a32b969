// What is sent of the script of transformations: made of source.ts by `npm run generate`.
export { script as luaRuntime } from "../../gen/lua/transformations.js";
