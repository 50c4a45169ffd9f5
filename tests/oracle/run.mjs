// Runs compiled CQL on Bundles, one patient each, with cql-execution and cql-exec-fhir.
//
//   node run.mjs ELM_DIR LIBRARY[,LIBRARY...] AS_OF [--valuesets FILE] [--parameters JSON] [--all] [--expressions A,B]
//     < bundles.ndjson > results.ndjson
//
// A line in:  {"case": NAME, "as_of"?: INSTANT, "libraries"?: [LIBRARY...], "bundle": {...}}
// A line out: {"case", "library", "patient", "results": {DEFINE: true | false | null | {"error": MESSAGE}}}
// Only public defines whose type is Boolean are evaluated; --all evaluates every public define and shows its value.
import { readFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { parseArgs } from "node:util";
import cql from "cql-execution";
import cqlFhir from "cql-exec-fhir";

const { values: chosen, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    valuesets: { type: "string" },
    parameters: { type: "string" },
    expressions: { type: "string" },
    all: { type: "boolean", default: false },
    timing: { type: "boolean", default: false },
  },
});
const [elmDir, libraryNames, defaultAsOf] = positionals;
if (!elmDir || !libraryNames || !defaultAsOf) {
  process.stderr.write("usage: node run.mjs ELM_DIR LIBRARY[,LIBRARY...] AS_OF [options] < bundles.ndjson\n");
  process.exit(2);
}

// `Any` is the type of a define that is only the word null.
const BOOLEAN = new Set(["{urn:hl7-org:elm-types:r1}Boolean", "{urn:hl7-org:elm-types:r1}Any"]);

const elm = readdirSync(elmDir)
  .filter((name) => name.endsWith(".json"))
  .sort()
  .map((name) => JSON.parse(readFileSync(join(elmDir, name), "utf8")));
const repository = new cql.Repository(elm);
const codes = new cql.CodeService(chosen.valuesets ? JSON.parse(readFileSync(chosen.valuesets, "utf8")) : {});
const parameters = chosen.parameters ? JSON.parse(chosen.parameters) : {};
const only = chosen.expressions ? new Set(chosen.expressions.split(",")) : null;

function prepare(name) {
  const library = repository.resolve(name);
  if (!library) throw new Error(`no library ${name} in ${elmDir}`);
  const statements = library.source.library.statements.def;
  const defines = statements
    .filter((one) => one.type !== "FunctionDef" && one.context === "Patient" && one.accessLevel === "Public")
    .filter((one) => chosen.all || BOOLEAN.has(one.resultTypeName))
    .filter((one) => !only || only.has(one.name))
    .map((one) => one.name);
  return { name, library, defines };
}

const libraries = new Map(libraryNames.split(",").map((name) => [name, prepare(name)]));

/** The instant of the question, in its own zone: that says what a calendar day is. */
function instant(text) {
  const at = new Date(text);
  if (Number.isNaN(at.getTime())) throw new Error(`not an instant: ${text}`);
  const [, sign, hours, minutes] = /([+-])(\d\d):(\d\d)$/.exec(text) ?? [null, "+", "0", "0"];
  return cql.DateTime.fromJSDate(at, Number(`${sign}1`) * (Number(hours) + Number(minutes) / 60));
}

// The engine knows R4; the model of any other version lies beside the ELM.
function patientSource(version) {
  if (version === "4.0.1") return cqlFhir.PatientSource.FHIRv401();
  return new cqlFhir.PatientSource(join(elmDir, `fhir-modelinfo-${version}.xml`));
}

const versions = new Set([...libraries.values()].flatMap((one) => one.library.usings.map((using) => using.version)));
if (versions.size > 1) throw new Error(`libraries of one run use one FHIR version, not ${[...versions].join(" and ")}`);
const source = patientSource([...versions][0] ?? "4.0.1");

/** Says what went wrong in the engine, without what the patient's data held. */
function reason(error) {
  const cause = error.cause ?? error;
  return `${cause.name ?? "Error"}: ${cause.message ?? cause}`;
}

async function evaluate({ library, defines }, patient, asOf) {
  // One context for all defines: what one has computed the next finds. A define that throws takes only itself
  // (and what rests on it) along.
  const context = new cql.PatientContext(library, patient, codes, parameters, asOf);
  const results = {};
  for (const define of defines) {
    try {
      const known = context.context_values[define];
      const value = known === undefined ? await library.expressions[define].execute(context) : known;
      if (chosen.all) results[define] = value === undefined ? null : value;
      else if (value === true || value === false) results[define] = value;
      else results[define] = value == null ? null : { error: `not a boolean: ${typeof value}` };
    } catch (error) {
      results[define] = { error: reason(error) };
    }
  }
  return results;
}

let evaluated = 0;
const started = performance.now();
for await (const line of createInterface({ input: process.stdin, crlfDelay: Infinity })) {
  if (!line.trim()) continue;
  const { case: name, as_of: asOf, libraries: wanted, bundle } = JSON.parse(line);
  source.loadBundles([bundle]);
  const patient = source.currentPatient();
  for (const each of (wanted ?? [...libraries.keys()]).filter((name) => libraries.has(name))) {
    const results = await evaluate(libraries.get(each), patient, instant(asOf ?? defaultAsOf));
    evaluated += Object.keys(results).length;
    process.stdout.write(`${JSON.stringify({ case: name, library: each, patient: patient.getId(), results })}\n`);
  }
  source.reset();
}
if (chosen.timing) {
  const seconds = (performance.now() - started) / 1000;
  process.stderr.write(`${evaluated} defines in ${seconds.toFixed(1)} s, ${Math.round(evaluated / seconds)} a second\n`);
}
