"""The verb ``fetch``: a FHIR server's Bulk Data export to a folder that ``screen`` reads."""

import argparse
import os
import re
import sys

import msgspec

from adapter.errors import AdapterError, Category, Issue, Severity
from adapter.fhir import resources as fhir
from adapter.fhir.dates import parse_as_of
from adapter.fhir.wire import type_name
from adapter.outputs import Folder, standard_output, tidy_when_terminated

DONE, SET_ASIDE = 0, 3
_ID = re.compile(r"[A-Za-z0-9.-]{1,64}", re.ASCII)
_TYPES = tuple(type_name(kind()) for kind in fhir.READ if kind is not fhir.Bundle)
"""What mappings read: nothing else is asked for."""


def run(options: argparse.Namespace) -> int:
    """Fetch an export, or the rest of one; raises AdapterError."""
    from adapter.delivery.bulk import Asked, Fetch  # noqa: PLC0415 (heavy; only this verb needs it)
    from adapter.delivery.client import Client  # noqa: PLC0415 (the same)
    from adapter.delivery.settings import server_settings  # noqa: PLC0415 (the same)
    from adapter.delivery.token import Tokens  # noqa: PLC0415 (the same)

    server = server_settings(options.server, os.environ)
    types = tuple(options.type) or _TYPES
    asked = Asked(server.url, _group(options.group), types, _since(options.since))
    folder = Folder.open(options.out)
    client = Client(server, _tell)
    if server.backend is not None:
        scope = server.backend.scope or " ".join(f"system/{each}.rs" for each in types)
        client.tokens = Tokens(client, msgspec.structs.replace(server.backend, scope=scope), types)
    try:
        with tidy_when_terminated():
            fetched = Fetch(client, asked, folder, also_from=options.also_from, keep=options.keep).run()
    finally:
        client.close()
    with standard_output() as stream:
        already = f" ({fetched.resumed} were there)" if fetched.resumed else ""
        stream.write(
            f"{fetched.files} files{already}, {fetched.lines} resources, as of {fetched.transaction_time}: "
            f"trial-adapter screen {options.out}\n"
        )
    if not fetched.errors:
        return DONE
    said = f"the server reports {fetched.errors} errors of its own: see the files *.errors; what is missing is unknown"
    sys.stderr.write(f"{Issue(Severity.WARNING, 'export-errors', said, file=options.out.as_posix())}\n")
    return SET_ASIDE


def _tell(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()


def _group(group: str | None) -> str | None:
    if group is not None and not _ID.fullmatch(group):
        raise AdapterError.of(Category.NOT_FOUND, "usage", "--group: the id of a Group, such as diabetes-clinic")
    return group


def _since(since: str | None) -> str | None:
    if since is None:
        return None
    try:
        return parse_as_of(since).text
    except ValueError as error:
        raise AdapterError.of(Category.NOT_FOUND, "usage", f"--since: {error}") from None
