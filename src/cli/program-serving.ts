// Options that every command has which serves requests.
import { InvalidArgumentError, Option } from "commander";

export function logOptions(): Option[] {
  return [
    new Option("--log <format>", "lines for people or for machines")
      .choices(["auto", "pretty", "json"])
      .default("auto")
      .env("HEADWORKS_LOG"),
    new Option("--log-level <level>", "").choices(["debug", "info", "warn", "error", "silent"]).default("info").env("HEADWORKS_LOG_LEVEL"),
  ];
}

export function graceOption(): Option {
  return new Option("--grace <seconds>", "how long requests in flight may take to finish at the end")
    .default(10)
    .env("HEADWORKS_GRACE")
    .argParser(seconds);
}

function seconds(text: string): number {
  const value = Number(text);
  if (text.trim() === "" || !Number.isFinite(value) || value < 0 || value > 3600)
    throw new InvalidArgumentError("It is a number of seconds, 0 to 3600.");
  return value;
}
