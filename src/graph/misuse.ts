// Wrong use of the graph by our own code. Thrown where it happens, with the names of what is involved.

export class GraphMisuse extends Error {
  override readonly name = "GraphMisuse";
}
