"""Every field of a kind that can name an input or a value set is looked at by the check of names."""

from typing import get_args, get_origin, get_type_hints

import msgspec
import pytest

from adapter.catalog.checks_references import REFERENCES
from adapter.catalog.make_schema import is_written, types_of
from adapter.eligibility.kinds import Kind
from adapter.eligibility.kinds.derivation import Derivation

NO_NAMES = {
    # Text that names nothing of the mappings, with what it is.
    ("BodyMassIndex", "by"): "a tag",
    ("CountFromPercent", "total"): "a role, checked with its input",
    ("CountFromPercent", "percent"): "roles, checked with their input",
    ("DailyDosePerWeight", "unit"): "a unit",
    ("Duration", "subject"): "words",
    ("Events", "subject"): "words",
    ("Infection", "subject"): "words",
    ("OtherStudy", "this"): "a trial's key, checked",
    ("OtherStudy", "taking_part"): "states of a ResearchSubject",
    ("OtherStudy", "perhaps"): "states of a ResearchSubject",
    ("Quantity", "unit"): "a unit, checked by the compiler",
    ("Quantity", "equivalent"): "limits by unit, checked",
    ("Record", "subject"): "words",
    ("SameAs", "criterion"): "a criterion, checked",
    ("SevereAllergy", "subject"): "words",
    ("Sustained", "unit"): "a unit, checked by the compiler",
    ("Sustained", "equivalent"): "limits by unit, checked",
    ("Tests", "roles"): "roles, checked with their input",
    ("ValueClause", "roles"): "roles, checked with their input",
    ("ValueClause", "limits"): "limits by unit, checked",
}


def holds_text(hint: object) -> bool:
    """Whether a field can hold a name: text, or a list or table of text."""
    if hint is str:
        return True
    if get_origin(hint) in (tuple, dict, list) or str(get_origin(hint)).endswith(("Union", "UnionType'>")):
        return any(holds_text(each) for each in get_args(hint))
    return False


FIELDS = [
    (owner, field.name)
    for owner in types_of(Kind, Derivation).values()
    for field in msgspec.structs.fields(owner)
    if is_written(owner.__name__, field.name)
    and owner.__name__ != "Period"
    and holds_text(get_type_hints(owner)[field.name])
]


@pytest.mark.parametrize(("owner", "field"), FIELDS, ids=lambda each: getattr(each, "__name__", each))
def test_a_field_of_text_is_a_checked_name_or_is_known_to_be_none(owner: type[msgspec.Struct], field: str) -> None:
    assert (field in REFERENCES.get(owner, {})) != ((owner.__name__, field) in NO_NAMES)


def test_the_list_names_only_fields_that_exist() -> None:
    for owner, fields in REFERENCES.items():
        assert set(fields) <= {field.name for field in msgspec.structs.fields(owner)}
    known = {(owner.__name__, field) for owner, field in FIELDS}
    assert set(NO_NAMES) - known <= {("BodyMassIndex", "by")}
