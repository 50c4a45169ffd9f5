// npm cql-execution with cql-exec-fhir, on the compiled libraries: node run.mjs ASK
import { answerLines, elmOf, failed, require, truth, version } from "../answering.mjs";

const cql = require("cql-execution");
const cqlFhir = require("cql-exec-fhir");

await answerLines((ask) => {
  const repository = new cql.Repository(ask.all.map((name) => JSON.parse(elmOf(ask, name))));
  const codes = new cql.CodeService({});
  const source = cqlFhir.PatientSource.FHIRv401();
  const asOf = cql.DateTime.fromJSDate(new Date(ask.as_of), 0);
  const libraries = Object.entries(ask.libraries).map(([name, defines]) => [repository.resolve(name), defines]);

  async function oneByOne(text) {
    const answer = {};
    source.loadBundles([JSON.parse(text)]);
    const patient = source.currentPatient();
    for (const [library, defines] of libraries) {
      // One context for all defines: what one has computed the next finds.
      const context = new cql.PatientContext(library, patient, codes, {}, asOf);
      for (const define of defines) {
        try {
          const known = context.context_values[define];
          answer[define] = truth(known === undefined ? await library.expressions[define].execute(context) : known);
        } catch (error) {
          answer[define] = failed(error);
        }
      }
    }
    source.reset();
    return answer;
  }

  const versions = { "cql-execution": version("cql-execution"), "cql-exec-fhir": version("cql-exec-fhir") };
  return { oneByOne, versions };
});
