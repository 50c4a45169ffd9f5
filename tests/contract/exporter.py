"""Export the trials of a JSON file to a server, as a process that a test can kill: URL FILE [--conditional]."""

import sys
from decimal import Decimal
from pathlib import Path

import msgspec

from adapter.delivery.export import run_server_export
from adapter.fhir.versions import FhirVersion

if __name__ == "__main__":
    read = msgspec.json.Decoder(float_hook=Decimal).decode(Path(sys.argv[2]).read_bytes())
    code = run_server_export(
        {key: tuple(resources) for key, resources in read.items()},
        url=sys.argv[1],
        version=FhirVersion.R4,
        conditional="--conditional" in sys.argv,
        dry_run=False,
        out=sys.stdout,
        err=sys.stderr,
    )
    sys.exit(code)
