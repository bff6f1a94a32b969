// A template of the language Inja, as a tree. The tree is plain JSON: it travels in Envoy's configuration, where Lua turns it into
// functions (lua/), and the embedded data plane does the same with closures (render.ts). There is one parser for both.

/** `2:5`: line and column in the template, from 1. */
export type Position = string;

/** A template: its parts in order. A string is text that is copied. */
export type Block = readonly Node[];

export type Node =
  | string
  | readonly ["print", Expression]
  | readonly ["if", Expression, Block, Block]
  /** One name: the items of an array. Two: keys and values of an object. */
  | readonly ["for", readonly string[], Expression, Block, Position]
  | readonly ["set", readonly string[], Expression];

export type Expression =
  /** A literal: its JSON, as it is written, so that nothing is rounded. */
  | readonly ["json", string]
  /** A variable: its name as it is written, and the path it means. */
  | readonly ["var", string, readonly string[], Position]
  /** An operator or function, by the name in {@link operations}. */
  | readonly ["call", string, readonly Expression[], Position];

/** A template that cannot be used, or a message that a template cannot be used on. */
export class TemplateFault extends Error {
  override readonly name = "TemplateFault";
  readonly at: Position | undefined;

  constructor(message: string, at?: Position) {
    super(at === undefined ? message : `${message} (at ${at})`);
    this.at = at;
  }
}

/** How deep templates, regular expressions and JSON may be nested. */
export const maxDepth = 200;
