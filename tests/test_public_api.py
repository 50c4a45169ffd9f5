"""What ``import adapter`` gives, and what it must not cost."""

import subprocess
import sys

import adapter


def test_every_public_name_is_there() -> None:
    assert [name for name in adapter.__all__ if getattr(adapter, name, None) is None] == []


def test_an_unknown_name_is_an_attribute_error() -> None:
    assert not hasattr(adapter, "emit_everything")


def loaded_by(code: str) -> set[str]:
    program = f"import sys; {code}; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    return {name.split(".")[0] for name in done.stdout.splitlines()[-1].split()}


def test_importing_the_package_loads_nothing_heavy() -> None:
    assert not loaded_by("import adapter") & {"msgspec", "yaml", "jsonschema", "fhir", "rich", "pydantic", "asyncio"}


def test_help_loads_nothing_heavy() -> None:
    code = "from adapter.cli import parser; parser().format_help()"
    assert not loaded_by(code) & {"msgspec", "yaml", "jsonschema", "fhir", "rich", "pydantic", "asyncio"}


def test_screening_never_loads_what_only_validation_needs() -> None:
    assert not loaded_by("import adapter; adapter.screen_bundle") & {"fhir", "jsonschema", "rich", "pydantic"}
