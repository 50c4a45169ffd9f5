"""Do the trials, the mappings and the site's additions load."""

from collections.abc import Iterator

from adapter.catalog.load import read_catalog
from adapter.errors import Severity
from adapter.service.doctor import Checked, Definitions, fault, ok, warning

_CHECK = "definitions"


def check_definitions(asked: Definitions) -> Iterator[Checked]:
    """Load them as ``serve`` does."""
    sources, catalog = read_catalog(list(asked.trials), list(asked.mappings), asked.site)
    errors = sum(each.severity in (Severity.ERROR, Severity.FATAL) for each in sources.issues)
    todo = "trial-adapter check (with the same --trials, --mappings, --site) says each, with its line"
    if catalog is None:
        yield fault(_CHECK, f"trials and mappings cannot be used: {errors} problems", todo)
        return
    said = f"{len(catalog.trials)} trials, mappings {catalog.mappings.version}"
    remarks = len(sources.issues) - errors
    if not catalog.trials:
        yield fault(_CHECK, "there is no trial", "name a folder of trials by --trials")
    elif remarks:
        yield warning(_CHECK, f"{said}; {remarks} warnings", todo)
    else:
        yield ok(_CHECK, said)
