"""Whole trials drawn at random, valid by ``trial-adapter check``: every kind, every bound, every nesting.

``generated_trial`` gives one as the text of its YAML file; ``generate`` fills a folder.  The same seed gives the same
bytes.
"""

import string
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from random import Random
from typing import Any, get_args

import yaml
from generated.kinds import Kinds, NothingLeftError
from generated.pools import Block, Pools, pools_of

from adapter.catalog.catalog import Catalog
from adapter.catalog.load import load_catalog
from adapter.eligibility.kinds import Kind

DEPTH = 4
"""How deep all, any and not are nested at most."""
_EVERY = tuple(sorted(kind.__struct_config__.tag for kind in get_args(Kind)))
"""The kinds of criteria, as a trial file names them."""
_OFTEN = ["record"] * 8 + ["quantity"] * 4 + ["ask", "infection"]
_INPUTS = {
    "age": "age",
    "duration": "diabetes_duration",
    "record": "condition",
    "events": "condition",
    "infection": "condition",
    "pregnancy": "pregnancy_status",
    "lactation": "breastfeeding_status",
    "negative-pregnancy-test": "pregnancy_test",
    "severe-allergy": "allergy",
    "allergy-to": "allergy",
    "daily-dose": "insulin_daily_dose_per_kg",
    "only-replacement": "medication",
    "consent": "consent",
    "other-study": "research_subject",
}
_ODD = (
    "",
    "",
    "",
    ' "as printed"',
    " (≥ 2\u00d710\\^9/L)",
    " <b>&amp;",
    " it's",
    " */ end",
    " // note",
    " µ°糖尿病",
    " {x}",
)
"""Ends of sentences that no rendering may stumble over: quotes, markup, comment marks, letters of other scripts."""


def generated_trial(random: Random, catalog: Catalog, key: str | None = None, criteria: int | None = None) -> str:
    """Draw a trial; gives the text of its file."""
    key = key if key is not None else f"GEN{random.randrange(10**9):09}"
    return yaml.dump(
        _Trial(random, _pools(_Once(catalog)), key).drawn(criteria or random.randint(9, 13)),
        Dumper=_Dumper,
        sort_keys=False,
        allow_unicode=True,
        width=120,
    )


def generate(directory: Path, count: int, seed: int, catalog: Catalog) -> list[Path]:
    """Write so many trials into a folder: ``GEN0001.yaml`` and on."""
    random = Random(seed)  # noqa: S311 (the same trials on every run)
    directory.mkdir(parents=True, exist_ok=True)
    paths = []
    for number in range(1, count + 1):
        path = directory / f"GEN{number:04}.yaml"
        path.write_text(generated_trial(random, catalog, path.stem), encoding="utf-8")
        paths.append(path)
    return paths


class _Once:
    """A catalog by its identity: it cannot be hashed, and sorting it into pools is done once."""

    def __init__(self, catalog: Catalog) -> None:
        self.catalog = catalog

    def __hash__(self) -> int:
        return id(self.catalog)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Once) and other.catalog is self.catalog


@lru_cache(maxsize=4)
def _pools(once: _Once) -> Pools:
    return pools_of(once.catalog)


class _Dumper(yaml.CSafeDumper):
    def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002 (a file repeats what it says twice)
        return True


def _number(dumper: yaml.Dumper, number: Decimal) -> yaml.Node:
    is_whole = number == number.to_integral_value() and int(number.as_tuple().exponent) >= 0
    return dumper.represent_scalar(f"tag:yaml.org,2002:{'int' if is_whole else 'float'}", f"{number:f}")


_Dumper.add_representer(Decimal, _number)


class _Trial:
    """One trial in the making."""

    def __init__(self, random: Random, pools: Pools, key: str) -> None:
        self._random = random
        self._kinds = Kinds(random, pools, key)
        self._key = key
        self._dealt: list[str] = []
        self._before: list[str] = []

    def drawn(self, count: int) -> Block:
        criteria = [self._criterion("inclusion" if number < count // 2 else "exclusion") for number in range(count)]
        words: dict[str, list[str]] = {"inclusion": [], "exclusion": []}
        for each in criteria:
            words[each["type"]].append(each["text"])
        headings = ["Inclusion Criteria:", "Exclusion Criteria:"]
        lines = [headings[0], *words["inclusion"], headings[1], *words["exclusion"]]
        source = {"name": "drawn at random", "eligibility": "\n".join(lines) + "\n", "headings": headings}
        version = f"{self._random.randint(1, 3)}.{self._random.randint(0, 9)}.0"
        return {"key": self._key, "version": version, "metadata": self._metadata(), "source": source} | {
            "criteria": criteria
        }

    def _next_kind(self) -> str:
        """Deal the kinds as cards: each once before any comes again."""
        if not self._dealt:
            self._dealt = [*_EVERY, *self._random.sample(_OFTEN, len(_OFTEN) // 2)]
            self._random.shuffle(self._dealt)
        return self._dealt.pop()

    def _criterion(self, side: str) -> Block:
        letter = side[0].upper()
        number = sum(each.startswith(f"{self._key}-{letter}") for each in self._before) + 1
        name = f"{self._key}-{letter}{number}"
        ids = [f"{name}{each}" for each in string.ascii_lowercase[: self._random.choice((1, 1, 2, 2, 3, 4, 5, 6))]]
        logic = self._logic(ids, DEPTH)
        signs = dict(_signs(logic, positive=side == "inclusion"))
        atoms = [self._atom(each, asks=signs[each]) for each in ids]
        self._before.append(name)
        text = f"{letter}{number}: " + " and ".join(each["text"] for each in atoms) + ";"
        return {"id": name, "type": side, "text": text, "logic": logic, "atoms": atoms}

    def _logic(self, ids: list[str], depth: int) -> Any:  # noqa: ANN401 (an id, or a tree)
        """Draw a tree of all, any and not in which every atom stands once."""
        if depth > 1 and self._random.random() < 0.15:
            return {"not": self._logic(ids, depth - 1)}
        if len(ids) == 1:
            return ids[0]
        if depth == 1:
            return {self._random.choice(("all", "any")): list(ids)}
        cut = self._random.randint(1, len(ids) - 1)
        inside = [self._logic(ids[:cut], depth - 1), self._logic(ids[cut:], depth - 1)]
        if self._random.random() < 0.2:
            premise: Block = {"premise": self._random.choice(("childbearing_potential", "male"))}
            inside.insert(0, {"not": premise} if self._random.random() < 0.5 else premise)
        return {self._random.choice(("all", "any")): inside}

    def _atom(self, name: str, *, asks: bool) -> Block:
        kind = self._next_kind()
        judge = self._judge(kind, asks=asks)
        kind = judge["kind"]
        grade = {"ask": "B" if "shows" in judge else "C", "consent": "B"}.get(kind)
        grade = grade or ("B" if self._random.random() < 0.25 else "A")
        what = judge.get("input", kind).replace("_", " ")
        made: Block = {"id": name, "text": f"{what} of {name[-1]}{self._random.choice(_ODD)}", "class": grade}
        made |= {"inputs": [judge.get("input", _INPUTS.get(kind, "attestation"))], "judge": judge}
        if grade != "A":
            made["ask"] = f"Is it so that {what} holds?"
        if grade == "B":
            made["left_to_people"] = "what no record says"
        if self._random.random() < 0.2:
            made["decision"] = f"How {what} is read is ours."
        return made

    def _judge(self, kind: str, *, asks: bool) -> Block:
        if kind == "same-as":
            own = [each for each in self._before if each.startswith(self._key)]
            return {"kind": kind, "criterion": self._random.choice(own)} if own else {"kind": "ask"}
        try:
            return self._kinds.drawn(kind, asks=asks)
        except NothingLeftError:
            return self._kinds.drawn("ask", asks=asks)

    def _metadata(self) -> Block:
        """Draw what a source may say and leave out."""
        optional: Block = {
            "official_title": f"A study of {self._key} <in adults> & others",
            "summary": "Whether it works,\nand whether it is safe.",
            "description": "In more words.",
            "identifiers": [
                {"system": "https://clinicaltrials.gov/nctid", "value": f"NCT{self._random.randrange(10**8):08}"}
            ],
            "sponsor": {"text": "A hospital"},
            "status": {"text": "RECRUITING"},
            "phase": {"text": "PHASE1"},
            "study_type": {"text": "INTERVENTIONAL"},
            "enrollment": self._random.randint(1, 500),
            "sex": {"text": "All"},
            "ages": {"text": "18 years and older", "ours": True},
            "start": self._random.choice(("2020", "2021-03", "2022-11-05")),
            "completion": self._random.choice(("2027", "2028-01")),
            "conditions": [{"text": "Type 2 diabetes", "note": "as printed"}],
            "interventions": [{"text": "Drug: A"}],
            "arms": [{"name": "A", "type": "experimental", "description": "A once"}, {"name": "B"}],
            "sites": [{"name": "A hospital", "city": "Beijing", "country": "China"}, {"name": "Another"}],
            "outcomes": [{"type": "primary", "name": "Change of HbA1c", "time_frame": "24 weeks"}],
        }
        kept = {name: value for name, value in optional.items() if self._random.random() < 0.6}
        if "status" in kept:
            kept["fhir_status"] = "active"
        absent = [name for name in ("sponsor", "phase", "arms", "sites", "outcomes") if name not in kept]
        return {"title": {"text": f"Generated trial {self._key}"}, **kept, **({"absent": absent} if absent else {})}


def _signs(logic: Any, *, positive: bool) -> list[tuple[str, bool]]:  # noqa: ANN401 (an id, or a tree)
    """Say of each atom whether its being true speaks for the patient."""
    if isinstance(logic, str):
        return [(logic, positive)]
    ((key, inside),) = logic.items()
    if key == "not":
        return _signs(inside, positive=not positive)
    return [] if key == "premise" else [pair for each in inside for pair in _signs(each, positive=positive)]


def main(directory: str, count: str, seed: str) -> None:
    """Fill a folder with trials for the benchmark."""
    generate(Path(directory), int(count), int(seed), load_catalog())
