// The name of a variable → the path it means: `a.b` (`a/b` is the same), or with advancedTemplates the JSON pointer `a/b`, in which dots
// are plain characters.

/** Undefined when it is no JSON pointer. */
export function pathOf(name: string, advanced: boolean): readonly string[] | undefined {
  const steps = advanced ? name.split("/") : name.replace(/\.$/, "").split(/[./]/);
  if (steps.some((each) => /~(?![01])/.test(each))) return undefined;
  return steps.map((each) => each.replaceAll("~1", "/").replaceAll("~0", "~"));
}
