"""PyPI ms-cql-sdk in memory, on the ELM of the official translator: ``run.py ASK``."""

import platform
from datetime import datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import orjson
from cql_sdk.api import load_library
from cql_sdk.elm.models.base import ElmNode
from cql_sdk.fhir.context import context_from_bundle
from cql_sdk.runtime.context import RuntimeContext
from cql_sdk.runtime.operators import DefaultOperatorRegistry
from peers.answering import Answer, Ask, Prepared, answer_lines, failed, truth


def _max(context: RuntimeContext, node: ElmNode) -> Any:
    """Give the greatest of a list: the one operator of Simple.cql that the package does not have."""
    found = context.evaluate(ElmNode.from_json(node.get("source")))
    return max((each for each in found or () if each is not None), default=None)


def _prepare(ask: Ask) -> Prepared:
    now = datetime.fromisoformat(ask["as_of"])
    operators = DefaultOperatorRegistry()
    operators.register("Max", _max)
    libraries = [
        (load_library(Path(ask["elm"]) / f"{name}.json"), defines) for name, defines in ask["libraries"].items()
    ]

    def one_by_one(data: bytes) -> Answer:
        context = context_from_bundle(orjson.loads(data), now=now, operators=operators)
        answer: Answer = {}
        for library, defines in libraries:
            context.with_library(library)
            for define in defines:
                try:
                    answer[define] = truth(context.evaluate_definition(define))
                except Exception as error:  # noqa: BLE001 (whatever it is, it is no answer)
                    answer[define] = failed(error)
        return answer

    return one_by_one, {"ms-cql-sdk": version("ms-cql-sdk"), "python": platform.python_version()}


if __name__ == "__main__":
    answer_lines(_prepare)
