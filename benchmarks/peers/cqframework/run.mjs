// npm @cqframework/cql: the reference engine, in Kotlin/JS, on the same libraries as text: node run.mjs ASK
import { answerLines, failed, truth, version } from "../answering.mjs";

process.env.TZ = "UTC";
const { engine, kotlin, libraryManager } = await import("./translator.mjs");
const { Fhir } = await import("./fhir.mjs");

/** The engine asks the clock for the instant of the question, and can be told no other: so the clock is told. */
function stopTheClock(instant) {
  const Real = globalThis.Date;
  const at = new Real(instant).getTime();
  globalThis.Date = class extends Real {
    constructor(...given) {
      if (given.length) super(...given);
      else super(at);
    }
    static now() {
      return at;
    }
  };
}

await answerLines((ask) => {
  stopTheClock(ask.as_of);
  const libraries = libraryManager(ask.cql);
  const fhir = new Fhir();
  const environment = new engine.Environment(libraries);
  environment.registerDataProvider("http://hl7.org/fhir", fhir);
  const { Options } = engine.CqlEngine;
  const cql = new engine.CqlEngine(environment, kotlin.KtMutableSet.fromJsSet(new Set([Options.EnableExpressionCaching])));
  let asked = 0;

  function evaluate(library, defines, answer) {
    const chosen = new engine.EvaluationParams.LibraryParams.Builder();
    chosen.expressionsByName(defines);
    const parameters = new engine.EvaluationParams.Builder();
    parameters.libraryByName(library, chosen.build());
    parameters.contextParameter = new kotlin.Pair("Patient", String(asked));
    const results = cql.evaluate(parameters.build());
    const found = results.onlyResultOrThrow;
    for (const define of defines) answer[define] = truth(found.getByName(define)?.value?.value);
  }

  function oneByOne(text) {
    fhir.show(JSON.parse(text));
    asked += 1; // another patient to the engine, which forgets what it has cached of the last one
    const answer = {};
    for (const [library, defines] of Object.entries(ask.libraries)) {
      try {
        evaluate(library, defines, answer);
      } catch {
        // One define that throws takes the others along; asked alone, each answers for itself.
        for (const define of defines) {
          try {
            evaluate(library, [define], answer);
          } catch (error) {
            answer[define] = failed(error);
          }
        }
      }
    }
    return answer;
  }

  fhir.show({ entry: [{ resource: { resourceType: "Patient", id: "none" } }] });
  for (const [library, [define]] of Object.entries(ask.libraries)) evaluate(library, [define], {}); // compiles it
  return { oneByOne, versions: { "@cqframework/cql": version("@cqframework/cql") } };
});
