// The translator, set up as tests/oracle/compile.mjs does, but kept in the process: this engine reads CQL, not ELM.
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { pathToFileURL } from "node:url";
import { require } from "../answering.mjs";

const load = (name) => import(pathToFileURL(require.resolve(`@cqframework/cql/${name}`)).href);
export const engine = await load("engine");
export const kotlin = await load("kotlin-kotlin-stdlib");
export const shared = await load("shared");
const translator = await load("cql-to-elm");
const ucum = require("@lhncbc/ucum-lhc").UcumLhcUtils.getInstance();

export const modelFile = join(
  dirname(require.resolve("cql-exec-fhir/package.json")), "lib", "modelInfos", "fhir-modelinfo-4.0.1.xml",
);

// The package brings no model of CQL's own types: those of the CQL specification, Author's Guide and Appendix B.
const SYSTEM_TYPES = {
  Any: [null], Boolean: ["Any"], Integer: ["Any"], Long: ["Any"], Decimal: ["Any"], String: ["Any"], Date: ["Any"],
  DateTime: ["Any"], Time: ["Any"],
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

function ucumService() {
  const refuse = () => {
    throw new Error("quantities are not multiplied or divided");
  };
  return translator.createUcumService(
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

// The JavaScript build throws "not implemented" for Split. What we split by and put in has no sign of a pattern in it.
const WITHOUT_SPLIT = [
  ["Combine(Split(code, '.'), '')", String.raw`ReplaceMatches(code, '\\.', '')`],
  ["Combine(Split(spelled, S.sent), S.meant)", "ReplaceMatches(spelled, S.sent, S.meant)"],
  ["Last(Split(Last(Split(reference, '/')), ':'))", "ReplaceMatches(reference, '^.*[/:]', '')"],
];

function source(path) {
  let text = readFileSync(path, "utf8");
  for (const [said, understood] of WITHOUT_SPLIT) text = text.replaceAll(said, () => understood);
  return translator.stringAsSource(text);
}

/** The libraries of a folder of CQL, compiled when they are first asked for. */
export function libraryManager(folder) {
  const { Options } = translator.CqlCompilerOptions;
  const options = new translator.CqlCompilerOptions()
    .withOptions([Options.DisableListDemotion, Options.DisableListPromotion, Options.EnableResultTypes])
    .withSignatureLevel(translator.LibraryBuilder.SignatureLevel.All)
    .withErrorLevel(translator.CqlCompilerException.ErrorSeverity.Info);
  const models = new translator.ModelManager();
  models.modelInfoLoader.registerModelInfoProvider(
    translator.createModelInfoProvider((id) =>
      translator.stringAsSource(id === "System" ? systemModel() : readFileSync(modelFile, "utf8")),
    ),
  );
  const libraries = new translator.LibraryManager(models, options, undefined, ucumService());
  libraries.librarySourceLoader.registerProvider(
    translator.createLibrarySourceProvider((id) => {
      const path = join(folder, `${id}.cql`);
      return existsSync(path) ? source(path) : null;
    }),
  );
  return libraries;
}
