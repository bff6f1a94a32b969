// A template of the language Inja, as a tree.

export type Part = { readonly kind: "text"; readonly text: string } | { readonly kind: "print"; readonly value: Expression };

export type Expression =
  | { readonly kind: "text"; readonly text: string }
  /** As it is written, so that nothing is rounded. */
  | { readonly kind: "number"; readonly text: string }
  | { readonly kind: "constant"; readonly value: boolean | null }
  /** `a.b.0`: a path into the context. */
  | { readonly kind: "variable"; readonly path: string }
  | { readonly kind: "call"; readonly name: string; readonly args: readonly Expression[] };

/** A template that cannot be used: wrong, or beyond what is supported. */
export class TemplateFault extends Error {
  override readonly name = "TemplateFault";
}
