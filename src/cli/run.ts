// `headworks run`
import { type ServeOptions, serve } from "./serve.ts";

export const run = (folder: string, options: ServeOptions): Promise<number> => serve(folder, options);
