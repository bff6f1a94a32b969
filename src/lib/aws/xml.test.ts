import { expect, test } from "vitest";
import { all, parseXml, text } from "./xml.ts";

test("elements, attributes, entities, CDATA, comments", () => {
  const root = parseXml('<?xml version="1.0"?>\n<a xmlns="x"><!-- <b> --><b>1 &lt; 2 &#x41;&unknown;</b><b/><c><![CDATA[<x>]]></c></a>\n');
  expect(root.name).toBe("a");
  expect(all(root, "b").map((each) => each.text)).toEqual(["1 < 2 A&unknown;", ""]);
  expect(text(root, "c")).toBe("<x>");
  expect(text(root, "d", "e")).toBe("");
});

test.each([
  "",
  "text",
  "<a>",
  "<a></b>",
  "</a>",
  "<a/><b/>",
  "<a b=c/>",
  "<html><br></html>",
  "<a>".repeat(100) + "</a>".repeat(100),
  '<!DOCTYPE a [<!ENTITY x "y">]><a>&x;</a>',
])("%j is refused", (source) => {
  expect(() => parseXml(source)).toThrow(SyntaxError);
});
