// The vectors are those that AWS publishes as the "Signature Version 4 test suite", and the example of its documentation.
import { expect, test } from "vitest";
import { authorization, sign } from "./sigv4.ts";

const credentials = { accessKeyId: "AKIDEXAMPLE", secretAccessKey: "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY" };
const empty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
const suite = (method: string, path: string, headers: Record<string, string> = {}, bodyHash = empty) =>
  authorization(
    { method, path, headers: { host: "example.amazonaws.com", "x-amz-date": "20150830T123600Z", ...headers } },
    bodyHash,
    "20150830T123600Z",
    {
      service: "service",
      region: "us-east-1",
      credentials,
    },
  ).replace(/.*Signature=/, "");

test.each([
  ["get-vanilla", "GET", "/", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"],
  [
    "get-vanilla-query-order-key-case",
    "GET",
    "/?Param2=value2&Param1=value1",
    "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
  ],
  [
    "get-unreserved",
    "GET",
    "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
    "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
  ],
  ["post-vanilla", "POST", "/", "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b"],
])("%s", (_, method, path, signature) => {
  expect(suite(method, path)).toBe(signature);
});

test("the request to IAM of the documentation", () => {
  const value = authorization(
    {
      method: "GET",
      path: "/?Action=ListUsers&Version=2010-05-08",
      headers: {
        host: "iam.amazonaws.com",
        "content-type": "application/x-www-form-urlencoded; charset=utf-8",
        "x-amz-date": "20150830T123600Z",
      },
    },
    empty,
    "20150830T123600Z",
    { service: "iam", region: "us-east-1", credentials },
  );
  expect(value).toBe(
    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/iam/aws4_request, SignedHeaders=content-type;host;x-amz-date, " +
      "Signature=5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7",
  );
});

test("a session token is sent and signed; what is sent is what was signed", () => {
  const headers = sign(
    {
      method: "POST",
      path: "/2015-03-31/functions/quote/invocations?Qualifier=$LATEST",
      headers: { host: "lambda.eu-west-1.amazonaws.com" },
      body: "{}",
    },
    {
      service: "lambda",
      region: "eu-west-1",
      credentials: { ...credentials, sessionToken: "token" },
      now: new Date("2015-08-30T12:36:00.123Z"),
    },
  );
  expect(headers["x-amz-date"]).toBe("20150830T123600Z");
  expect(headers["x-amz-security-token"]).toBe("token");
  expect(headers.authorization).toContain("SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,");
});
