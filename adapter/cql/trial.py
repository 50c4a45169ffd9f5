"""A trial's eligibility as a CQL library: one define for each atom, each criterion and the decision."""

from collections.abc import Iterator
from typing import assert_never

import msgspec

from adapter.catalog.catalog import Catalog
from adapter.cql.kinds import FERTILE, SEX, Unsaid, Weighed, outcome_of, truth_of
from adapter.cql.mappings import LIBRARY as MAPPINGS
from adapter.cql.mappings import mapping_version, mappings_text
from adapter.cql.shared import MODEL, SHARED_VERSION, shared_text
from adapter.cql.text import BOOLEAN, call, comment, indented, name, null, string
from adapter.eligibility.reason import Reason
from adapter.eligibility.trial import All, Any, Atom, AtomIs, Criterion, Logic, Not, Premise, Trial
from adapter.fhir.versions import FhirVersion

CONTRADICTED = "Is Contradicted By The Text"
"""The define of a patient whom the text both includes and excludes: then nothing is decided in favour."""
SETTLED = 'Mappings."Settled"'


class CqlLibrary(msgspec.Struct, frozen=True):
    """A CQL library, ready to be compiled."""

    name: str
    version: str
    text: str
    includes: tuple["CqlLibrary", ...] = ()
    define_texts: dict[str, str] = msgspec.field(default_factory=dict)
    """Of a trial: the CQL of each define, by its name."""
    unsaid: dict[str, str] = msgspec.field(default_factory=dict)
    """Atoms whose define is null, with why."""


def library_name(key: str) -> str:
    """Give the name of a trial's library: letters and digits only."""
    words = "".join(character if character.isalnum() else " " for character in key).split()
    joined = "".join(word[:1].upper() + word[1:].lower() for word in words)
    return f"{joined if joined[:1].isalpha() else f'T{joined}'}Eligibility"


def trial_library(trial: Trial, catalog: Catalog, version: FhirVersion) -> CqlLibrary:
    """Write a trial's library for one FHIR version, with the libraries it includes."""
    facts = CqlLibrary("AdapterFacts", SHARED_VERSION, shared_text("AdapterFacts", version))
    judgement = CqlLibrary("AdapterJudgement", SHARED_VERSION, shared_text("AdapterJudgement", version), (facts,))
    mappings = CqlLibrary(
        MAPPINGS,
        mapping_version(catalog.mappings),
        mappings_text(catalog.mappings, catalog.attestation_lasts, version),
        (facts, judgement),
    )
    defines: dict[str, str] = {}
    unsaid: dict[str, str] = {}
    blocks = [_header(trial, version, (facts, judgement, mappings))]
    for criterion in trial.criteria:
        blocks.append(_heading(criterion))
        for atom in criterion.atoms:
            defines[atom.id] = _atom(atom, unsaid)
            blocks.append(defines[atom.id])
        defines[criterion.id] = f"define {name(criterion.id)}:\n{indented(_logic(criterion.logic))}"
        blocks.append(defines[criterion.id])
    for title, text in (*_contradictions(trial), *_decision(trial)):
        defines[title] = f"define {name(title)}:\n{indented(text)}"
        blocks.append(defines[title])
    text = "\n\n".join(blocks) + "\n"
    return CqlLibrary(library_name(trial.key), trial.version, text, (facts, judgement, mappings), defines, unsaid)


def _header(trial: Trial, version: FhirVersion, includes: tuple[CqlLibrary, ...]) -> str:
    title = comment(f"{trial.key}: {trial.title}\n   true, false, or null where it cannot be told; docs/semantics.md")
    included = "\n".join(
        f"include {library.name} version '{library.version}' called {alias}"
        for library, alias in zip(includes, ("Facts", "Judge", "Mappings"), strict=True)
    )
    return (
        f"{title}\nlibrary {library_name(trial.key)} version '{trial.version}'\n\n"
        f"using FHIR version '{MODEL[version]}'\n\n{included}\n\ncontext Patient"
    )


def _heading(criterion: Criterion) -> str:
    words = criterion.text.strip().replace("\n", "\n   ")
    return f"// {'-' * 100}\n{comment(f'{criterion.type.capitalize()} {criterion.id}: {words}')}"


def _atom(atom: Atom, unsaid: dict[str, str]) -> str:
    words = comment(atom.text.strip())
    if atom.ask:
        words += f"\n{comment(f'Asked of a person: {atom.ask}')}"
    said = truth_of(atom.kind)
    if isinstance(said, Unsaid):
        unsaid[atom.id] = said.why
        words += f"\n{comment(f'Not computed in CQL: {said.why}.')}"
        text = call(SETTLED, null(BOOLEAN), _question(atom.id)) if said.is_asked else null(BOOLEAN)
    else:
        text = call(SETTLED, said, _question(atom.id))
    return f"{words}\ndefine {name(atom.id)}:\n{indented(text)}"


def _question(atom_id: str) -> str:
    """Write an atom's id in two parts: translators warn of a string that spells the name of a define."""
    head, hyphen, rest = atom_id.partition("-")
    return f"{string(head + hyphen)} + {string(rest)}" if rest else string(atom_id)


def _logic(logic: Logic) -> str:
    match logic:
        case AtomIs(id):
            return name(id)
        case Not(of):
            return f"not {_operand(of)}"
        case All(of):
            return "\n  and ".join(map(_operand, of))
        case Any(of):
            return "\n  or ".join(map(_operand, of))
        case Premise(of):
            return FERTILE if of == "childbearing_potential" else f"{SEX} = 'male'"
        case _:
            assert_never(logic)


def _operand(logic: Logic) -> str:
    text = _logic(logic)
    return text if isinstance(logic, AtomIs) else f"({text})"


def _decision(trial: Trial) -> Iterator[tuple[str, str]]:
    for title, kind, word in (
        ("Meets Inclusion Criteria", "inclusion", "and"),
        ("Meets Exclusion Criteria", "exclusion", "or"),
    ):
        names = [name(each.id) for each in trial.criteria if each.type == kind]
        yield title, f"\n  {word} ".join(names) or ("true" if word == "and" else "false")
    yield "Is Deceased", 'Mappings."Is Deceased"'
    eligible = '"Meets Inclusion Criteria"\n  and not "Meets Exclusion Criteria"\n  and not "Is Deceased"'
    if trial.contradictions:
        eligible += f"\n  and (if {name(CONTRADICTED)} then null else true)"
    yield "Is Eligible", eligible


def _contradictions(trial: Trial) -> Iterator[tuple[str, str]]:
    """Say whether the patient is where the text contradicts itself: what it includes holds, or is open for that."""
    kinds = {atom.id: atom.kind for criterion in trial.criteria for atom in criterion.atoms}
    including = dict.fromkeys(atom for each in trial.contradictions for atom in each.includes)
    outcomes = {atom: kind for atom in including if isinstance(kind := kinds[atom], Weighed)}
    for atom, kind in outcomes.items():
        yield f"{atom} outcome", outcome_of(kind)
    if not trial.contradictions:
        return

    def touches(atom: str) -> str:
        holds = f"Coalesce({name(atom)}, false)"
        if atom not in outcomes:
            return holds
        open_for_it = f"Coalesce({name(f'{atom} outcome')}, '') = {string(Reason.CONTRADICTION.value)}"
        return f"({holds} or ({name(atom)} is null and {open_for_it}))"

    either = ("\n    and ".join(map(touches, each.includes)) for each in trial.contradictions)
    yield CONTRADICTED, "\n  or ".join(f"({both})" for both in either)
