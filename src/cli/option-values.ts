// Values of options that several commands have: addresses, and files that are read at the start.
import { readFileSync } from "node:fs";
import { type ListenAddress, parseListenAddress } from "../lib/listen-address.ts";
import { CommandError } from "./exit.ts";

export function addressOf(option: string, text: string): ListenAddress {
  const address = parseListenAddress(text);
  if (address === undefined) throw new CommandError(`${option} is host:port, a port or unix:PATH; it is "${text}"`);
  return address;
}

export function readToken(file: string): string {
  const token = readNamed("--admin-token-file", file).trim();
  if (token.length < 16)
    throw new CommandError(`the token in ${file} is shorter than 16 characters; make one with \`openssl rand -hex 32\``);
  return token;
}

export function readNamed(option: string, file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw new CommandError(`${option} names ${file}, which cannot be read: ${(error as Error).message}`);
  }
}
