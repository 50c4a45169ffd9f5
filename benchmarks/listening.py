"""The service as a process that is measured, and the two floors it is held against.

Usage: ``python benchmarks/listening.py echo|receipts|whole`` with the settings of ``serve`` in the environment.

``echo`` is uvicorn alone, which reads a body and sends it back; ``receipts`` is the whole service but for the
evaluation: every message is read, claimed, answered with nothing found, and committed.
"""

import argparse
import datetime
import sys

from starlette.types import Receive, Scope, Send

import adapter
from adapter.eligibility.trial import Trial
from adapter.fhir.versions import FhirVersion
from adapter.service import evaluation
from adapter.service.settings import read_settings
from adapter.verbs.serving import run


def main() -> None:
    """Listen until told to stop."""
    mode = sys.argv[1]
    if mode == "echo":
        import uvicorn  # noqa: PLC0415 (the service loads it itself)

        settings = read_settings()
        uvicorn.run(
            _echo, host=settings.host, port=settings.port, access_log=False, log_config=None, lifespan="off", ws="none"
        )
        return
    if mode == "receipts":
        evaluation.Evaluator.evaluate = _nothing  # type: ignore[assignment,method-assign]
    sys.exit(run(argparse.Namespace(), adapter.load_catalog()))


async def _echo(_scope: Scope, receive: Receive, send: Send) -> None:
    body = b""
    more = True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    length = str(len(body)).encode()
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", length)]})
    await send({"type": "http.response.body", "body": body})


def _nothing(
    _self: evaluation.Evaluator,
    _data: bytes,
    _version: FhirVersion,
    moment: datetime.datetime,
    _trials: tuple[Trial, ...] | None = None,
    tenant: str = "",  # noqa: ARG001 (the name is the caller's)
) -> evaluation.Evaluation:
    return evaluation.Evaluation((), (), moment, None)


if __name__ == "__main__":
    main()
