"""PyPI dhis2w-fhir-engine, on the CQL text in the words it understands: ``run.py ASK``.

The evaluator takes its instant from the clock; the context of its CQL visitor takes one, so the visitor is asked, in
the few lines that ``CQLEvaluator.evaluate_definition`` has.  One context for all defines: what one has computed the
next finds.
"""

import platform
import re
from datetime import datetime
from importlib.metadata import version
from pathlib import Path

import orjson
from dhis2w_fhir_engine import CQLEvaluator, PatientBundleDataSource
from dhis2w_fhir_engine.engine.cql.context import CQLContext
from dhis2w_fhir_engine.engine.cql.visitor import CQLEvaluatorVisitor
from peers.answering import Answer, Ask, Prepared, answer_lines, failed, truth

_IN_ITS_WORDS = (
    (r"date from \((\w+\.\w+) as FHIR\.dateTime\)", r"date from ToDateTime(\1)"),
    (r"date from (M\.authoredOn)", r"date from ToDateTime(\1)"),
    (r"V (>=|<=|<|>) ([\d.]+) ('[^']+')", r"(V.value \1 \2 and V.code = \3)"),
    (r"CalculateAgeInYearsAt\(Patient\.birthDate, Today\(\)\)", "AgeInYearsAt(Today())"),
    (r'\[MedicationRequest: ("[^"]+")\] M where', r"[MedicationRequest] M where M.medication ~ \1 and"),
)
"""What it reads otherwise than the specification says, and how the same is said so that it reads it."""


def _in_its_words(text: str) -> str:
    for said, understood in _IN_ITS_WORDS:
        text = re.sub(said, understood, text)
    return text


def _prepare(ask: Ask) -> Prepared:
    now = datetime.fromisoformat(ask["as_of"])
    evaluator = CQLEvaluator()
    folder = Path(ask["cql"])
    libraries = [
        (evaluator.compile(_in_its_words((folder / f"{name}.cql").read_text(encoding="utf-8"))), defines)
        for name, defines in ask["libraries"].items()
    ]

    def one_by_one(data: bytes) -> Answer:
        source = PatientBundleDataSource(orjson.loads(data))
        answer: Answer = {}
        for library, defines in libraries:
            context = CQLContext(
                resource=source.patient,
                now=now,
                library=library,
                library_manager=evaluator.library_manager,
                data_source=source,
            )
            visitor = CQLEvaluatorVisitor(context)
            visitor._library = library  # noqa: SLF001 (as CQLEvaluator does)
            for define in defines:
                try:
                    answer[define] = truth(visitor.visit(library.get_definition(define).expression_tree))
                except Exception as error:  # noqa: BLE001 (whatever it is, it is no answer)
                    answer[define] = failed(error)
        return answer

    return one_by_one, {"dhis2w-fhir-engine": version("dhis2w-fhir-engine"), "python": platform.python_version()}


if __name__ == "__main__":
    answer_lines(_prepare)
