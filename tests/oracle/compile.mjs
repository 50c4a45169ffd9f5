// Compiles every *.cql of a folder to ELM (JSON), with the official translator.
//
//   node compile.mjs IN_DIR OUT_DIR
//
// Libraries include each other from IN_DIR; the FHIR model is that of the engine (cql-exec-fhir), unless IN_DIR
// holds its own `fhir-modelinfo-VERSION.xml`. Problems go to standard error as `file:line:column: severity: message`; an error ends with 1.
import { mkdirSync, readFileSync, readdirSync, writeFileSync, existsSync } from "node:fs";
import { createRequire } from "node:module";
import { basename, dirname, join } from "node:path";
import ucumLhc from "@lhncbc/ucum-lhc";

// The translator's logger speaks of every model it reads; only what this script says belongs on the outputs.
const say = (text) => process.stderr.write(`${text}\n`);
console.log = console.info = console.debug = () => {};

const {
  CqlCompilerException,
  CqlCompilerOptions,
  CqlTranslator,
  LibraryBuilder,
  LibraryManager,
  ModelManager,
  createLibrarySourceProvider,
  createModelInfoProvider,
  createUcumService,
  stringAsSource,
} = await import("@cqframework/cql/cql-to-elm");

const require = createRequire(import.meta.url);
const engineModels = join(dirname(require.resolve("cql-exec-fhir/package.json")), "lib", "modelInfos");

const [inDir, outDir] = process.argv.slice(2);
if (!inDir || !outDir) {
  say("usage: node compile.mjs IN_DIR OUT_DIR");
  process.exit(2);
}

const HEADER = /^\s*library\s+(?:"([^"]+)"|([\w.]+))/m;

function sources(folder) {
  const found = new Map();
  for (const name of readdirSync(folder).sort()) {
    if (!name.endsWith(".cql")) continue;
    const path = join(folder, name);
    const text = readFileSync(path, "utf8");
    const header = HEADER.exec(text);
    found.set(header ? (header[1] ?? header[2]) : basename(name, ".cql"), { path, text });
  }
  return found;
}

// The translator's package brings no model of CQL's own types. These are the types of the CQL specification
// (Author's Guide and Appendix B), each with its parent and its elements.
const SYSTEM_TYPES = {
  Any: [null],
  Boolean: ["Any"],
  Integer: ["Any"],
  Long: ["Any"],
  Decimal: ["Any"],
  String: ["Any"],
  Date: ["Any"],
  DateTime: ["Any"],
  Time: ["Any"],
  Quantity: ["Any", { value: "Decimal", unit: "String" }],
  Ratio: ["Any", { numerator: "Quantity", denominator: "Quantity" }],
  Code: ["Any", { code: "String", system: "String", version: "String", display: "String" }],
  Concept: ["Any", { codes: ["Code"], display: "String" }],
  Vocabulary: ["Any", { id: "String", version: "String", name: "String" }],
  CodeSystem: ["Vocabulary"],
  ValueSet: ["Vocabulary", { codesystems: ["CodeSystem"] }],
};

function systemModel() {
  const element = ([name, type]) =>
    Array.isArray(type)
      ? `<element name="${name}"><elementTypeSpecifier xsi:type="ListTypeSpecifier" elementType="System.${type[0]}"/></element>`
      : `<element name="${name}" elementType="System.${type}"/>`;
  const types = Object.entries(SYSTEM_TYPES).map(([name, [parent, elements]]) => {
    const kind = elements || parent === "Vocabulary" ? "ClassInfo" : "SimpleTypeInfo";
    const base = parent ? ` baseType="System.${parent}"` : "";
    const inner = Object.entries(elements ?? {}).map(element).join("");
    return `<typeInfo xsi:type="${kind}" namespace="System" name="${name}"${base}>${inner}</typeInfo>`;
  });
  return (
    `<modelInfo xmlns="urn:hl7-org:elm-modelinfo:r1" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance"` +
    ` name="System" version="1.0.0" url="urn:hl7-org:elm-types:r1" targetQualifier="system">${types.join("")}</modelInfo>`
  );
}

// Units are judged by the library that the engine judges them by.
function ucumService() {
  const ucum = ucumLhc.UcumLhcUtils.getInstance();
  const refuse = () => {
    throw new Error("quantities are not computed while compiling");
  };
  return createUcumService(
    (value, from, to) => {
      const answer = ucum.convertUnitTo(from, Number(value), to);
      if (answer.status !== "succeeded") throw new Error(answer.msg.join("; "));
      return String(answer.toVal);
    },
    (unit) => (ucum.validateUnitString(unit).status === "valid" ? null : `${unit} is not a UCUM unit`),
    refuse,
    refuse,
  );
}

function modelXml(id, version) {
  if (id === "System") return stringAsSource(systemModel());
  const name = `${id.toLowerCase()}-modelinfo-${version}.xml`;
  const path = [join(inDir, name), join(engineModels, name)].find(existsSync);
  return path ? stringAsSource(readFileSync(path, "utf8")) : null;
}

const { Options } = CqlCompilerOptions;
const options = new CqlCompilerOptions()
  // A list silently taken for a value, or a value for a list, hides a mistake.
  // The types of the results tell the runner which defines are boolean.
  .withOptions([Options.DisableListDemotion, Options.DisableListPromotion, Options.EnableResultTypes])
  // cql-execution tells overloads apart by the signature.
  .withSignatureLevel(LibraryBuilder.SignatureLevel.All)
  .withErrorLevel(CqlCompilerException.ErrorSeverity.Info);

const known = sources(inDir);
const models = new ModelManager();
models.modelInfoLoader.registerModelInfoProvider(createModelInfoProvider((id, _system, version) => modelXml(id, version)));
// The third argument is the cache of compiled libraries, which is the manager's own.
const libraries = new LibraryManager(models, options, undefined, ucumService());
libraries.librarySourceLoader.registerProvider(
  createLibrarySourceProvider((id) => (known.has(id) ? stringAsSource(known.get(id).text) : null)),
);

mkdirSync(outDir, { recursive: true });
let failed = false;
for (const [name, { path, text }] of known) {
  const translator = CqlTranslator.fromText(text, libraries);
  const elm = translator.toJson();
  // The exceptions keep their places to themselves; the ELM names them. An "internal" one only says that what
  // stands inside was refused.
  const problems = (JSON.parse(elm).library.annotation ?? []).filter(
    (said) => said.type === "CqlToElmError" && (!said.libraryId || said.libraryId === name),
  );
  const told = problems.some((said) => said.errorSeverity === "error" && said.errorType !== "internal");
  for (const said of problems) {
    failed ||= said.errorSeverity === "error";
    if (told && said.errorType === "internal") continue;
    say(`${basename(path)}:${said.startLine ?? 0}:${said.startChar ?? 0}: ${said.errorSeverity}: ${said.message}`);
  }
  writeFileSync(join(outDir, `${name}.json`), elm);
}
process.exit(failed ? 1 : 0);
