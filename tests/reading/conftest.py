"""The command ``trial-adapter screen``, run in this process."""

import pytest
from reading.chart import AS_OF
from reading.command import Run, Screen

from adapter import cli


@pytest.fixture
def screen(capsysbinary: pytest.CaptureFixture[bytes]) -> Screen:
    def run(*arguments: object) -> Run:
        code = cli.main(["screen", *map(str, arguments), "--as-of", AS_OF, "--format", "findings"])
        said = capsysbinary.readouterr()
        return Run(code, said.out.decode(), said.err.decode())

    return run
