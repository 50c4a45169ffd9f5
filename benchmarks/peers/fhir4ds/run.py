"""PyPI fhir4ds-v2, which makes SQL of the CQL and asks DuckDB about all patients at once: ``run.py ASK``.

The patients of a turn are loaded and asked together; the SQL is made once.
"""

import platform
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson
from fhir4ds import FHIRDataLoader, create_connection
from fhir4ds.cql.parser import parse_cql
from fhir4ds.cql.translator import CQLToSQLTranslator
from peers.answering import Answer, Ask, PreparedTogether, answer_lines_together, truth


def _prepare(ask: Ask) -> PreparedTogether:
    folder = Path(ask["cql"])
    connection = create_connection(threads=1)
    loader = FHIRDataLoader(connection)
    ((name, defines),) = ask["libraries"].items()
    # Its Today() is the clock's, so the day of the question is written into the text.
    text = (folder / f"{name}.cql").read_text(encoding="utf-8").replace("Today()", f"@{ask['as_of'][:10]}")
    translator = CQLToSQLTranslator(connection=connection)
    translator.set_library_loader(lambda alias: parse_cql((folder / f"{alias}.cql").read_text(encoding="utf-8")))
    columns = {f"c{number}": define for number, define in enumerate(defines)}
    sql = translator.translate_library_to_population_sql(
        library=parse_cql(text), output_columns=columns, parameters={}, patient_ids=None
    )

    def together(patients: list[bytes]) -> list[Answer]:
        loader.clear()
        ids = []
        for data in patients:
            bundle = orjson.loads(data)
            loader.load_bundle(bundle)
            ids.append(next(each["resource"]["id"] for each in bundle["entry"] if _is_patient(each["resource"])))
        result = connection.execute(sql)
        names = [each[0] for each in result.description]
        rows = {row[0]: dict(zip(names, row, strict=True)) for row in result.fetchall()}
        return [{define: truth(rows[id_][column]) for column, define in columns.items()} for id_ in ids]

    return together, {"fhir4ds-v2": version("fhir4ds-v2"), "python": platform.python_version()}


def _is_patient(resource: dict[str, Any]) -> bool:
    return resource["resourceType"] == "Patient"


if __name__ == "__main__":
    answer_lines_together(_prepare)
