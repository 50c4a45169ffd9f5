// The engine's side of the conversation with benchmarks/peers.py, for engines in Node; as answering.py.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";

// The packages are those of the oracle: one lock file pins what is compared with and what is measured.
const ORACLE = new URL("../../tests/oracle/package.json", import.meta.url);
export const require = createRequire(ORACLE);

// What an engine's logger says is not an answer.
const write = process.stdout.write.bind(process.stdout);
process.stdout.write = process.stderr.write.bind(process.stderr);

export function version(name) {
  const pinned = JSON.parse(readFileSync(new URL("package-lock.json", ORACLE), "utf8"));
  return pinned.packages[`node_modules/${name}`].version;
}

export const elmOf = (ask, name) => readFileSync(`${ask.elm}/${name}.json`, "utf8");
export const here = (path) => fileURLToPath(new URL(path, import.meta.url));

/** The value of a define as true, false or null, or why it is none of them. */
export const truth = (value) => (value == null ? null : typeof value === "boolean" ? value : `not a boolean: ${typeof value}`);

/** Says what went wrong in the engine, in the words of tests/oracle/run.mjs. */
export function failed(error) {
  const cause = error.cause ?? error;
  return `${cause.name ?? "Error"}: ${cause.message ?? cause}`;
}

/** `prepare(ask)` gives `{ oneByOne, versions }`; `oneByOne(text)` is what is timed. */
export async function answerLines(prepare) {
  const ask = JSON.parse(readFileSync(process.argv[2], "utf8"));
  const patients = ask.patients.map((path) => readFileSync(path));
  const say = (said) => write(`${JSON.stringify(said)}\n`);
  const { oneByOne, versions } = await prepare(ask);
  say({ ready: { ...versions, node: process.versions.node } });
  for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
    const asked = JSON.parse(line);
    const cpu = process.cpuUsage();
    const seconds = [];
    const answers = [];
    for (const number of asked.patients) {
      const began = performance.now();
      const answer = await oneByOne(patients[number].toString("utf8"));
      seconds.push((performance.now() - began) / 1000);
      answers.push(answer);
    }
    const spent = process.cpuUsage(cpu);
    const said = { seconds, cpu: (spent.user + spent.system) / 1e6 };
    say(asked.answers ? { ...said, answers } : said);
  }
}
