"""Cross checks of trials and mappings: what a writer must know, beyond what loading refuses."""

from adapter.catalog.catalog import Catalog, Sources
from adapter.catalog.checks_contradictions import contradiction_issues
from adapter.catalog.checks_limits import limit_issues
from adapter.catalog.checks_mappings import mapping_issues
from adapter.catalog.checks_text import text_issues
from adapter.catalog.checks_usage import usage_issues
from adapter.errors import Issue

_CHECKS = (usage_issues, text_issues, limit_issues, mapping_issues, contradiction_issues)


def check(sources: Sources, catalog: Catalog | None) -> list[Issue]:  # noqa: ARG001 (what could be compiled, if anything)
    """Say every problem of the files, in the order of files and lines; what could not be read hides nothing else."""
    found = [*sources.issues, *(issue for each in _CHECKS for issue in each(sources))]
    return sorted(dict.fromkeys(found), key=lambda issue: (issue.file or "", issue.line or 0))
