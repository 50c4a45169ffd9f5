"""The mappings as a CQL library: value sets, inputs and what is on record of a patient, shared by all trials."""

from collections.abc import Iterator, Mapping

from adapter.cql.shared import MODEL, SHARED_VERSION
from adapter.cql.text import (
    DECIMAL,
    STRING,
    boolean,
    call,
    comment,
    decimal,
    indented,
    limits,
    listed,
    maybe,
    name,
    null,
    since,
    string,
    strings,
    tupled,
)
from adapter.cql.types import spelled
from adapter.eligibility.values import Period
from adapter.fhir.versions import FhirVersion
from adapter.mapping.codes import doubt_of, undotted, with_included
from adapter.mapping.extract import Mappings
from adapter.mapping.table import Answers, Code, Input, Measure, NumberAnswer, System, ValueSet, Vocabulary
from adapter.mapping.units import UCUM, UnitReader

LIBRARY = "AdapterMappings"
_ANY = "System.Any"
_SYSTEM_NAMES: dict[System, str] = {
    "loinc": "LOINC",
    "snomed": "SNOMED CT",
    "icd10cm": "ICD-10-CM",
    "icd10": "ICD-10",
    "rxnorm": "RxNorm",
    "atc": "ATC",
    "cpt": "CPT",
    "icd10pcs": "ICD-10-PCS",
    "hl7v3": "ObservationInterpretation",
}


def codes_of(value_set: str) -> str:
    """Give the define that holds a value set."""
    return name(f"{value_set} codes")


def results_of(input_name: str) -> str:
    """Give the define that holds a patient's results of an input."""
    return name(f"{input_name} results")


def mapping_version(mappings: Mappings) -> str:
    """Give the version of everything made of the mappings alone; another content of the files gives another."""
    return f"1.0.0-m{mappings.version[:8]}"


_KEPT: dict[tuple[str, FhirVersion], str] = {}
"""The library of the mappings last written, by their digest: a thousand trials share one."""


def mappings_text(mappings: Mappings, lasts: Period, version: FhirVersion) -> str:
    """Write the library of a catalog's mappings; ``lasts`` is how long a reviewer's answer is believed."""
    key = (mappings.version, version)
    if key not in _KEPT:
        _KEPT.clear()
        _KEPT[key] = "\n\n".join(_parts(mappings, lasts, version)) + "\n"
    return _KEPT[key]


def _parts(mappings: Mappings, lasts: Period, version: FhirVersion) -> Iterator[str]:
    vocabulary = mappings.vocabulary
    yield (
        "// What the trials' words mean in codes and units (mappings/), and what is on record of the patient.\n"
        f"library {LIBRARY} version '{mapping_version(mappings)}'"
    )
    yield f"using FHIR version '{MODEL[version]}'"
    yield (
        f"include AdapterFacts version '{SHARED_VERSION}' called Facts\n"
        f"include AdapterJudgement version '{SHARED_VERSION}' called Judge"
    )
    yield "\n".join(
        f"codesystem {name(_alias(system, number))}: {string(url)}"
        for system, urls in vocabulary.systems.items()
        for number, url in enumerate(urls)
    )
    yield "context Patient"
    yield from _record(vocabulary, mappings, lasts)
    for input_name, each in mappings.inputs.items():
        if each.codes:
            yield f"{comment(each.title)}\ndefine {results_of(input_name)}:\n" + indented(_results(each, mappings))
    for set_name, value_set in mappings.value_sets.items():
        yield f"{comment(value_set.title)}\ndefine {codes_of(set_name)}:\n" + indented(
            listed(_rows(set_name, mappings), _type("Row"))
        )


def _alias(system: System, number: int) -> str:
    return _SYSTEM_NAMES[system] if number == 0 else f"{_SYSTEM_NAMES[system]} ({number + 1})"


def _define(title: str, expression: str) -> str:
    return f"define {name(title)}:\n{indented(expression)}"


def _record(vocabulary: Vocabulary, mappings: Mappings, lasts: Period) -> Iterator[str]:
    urls = vocabulary.systems
    hierarchical = [url for system in vocabulary.hierarchical for url in urls[system]]
    birth_sex = [tupled({"code": string(c), "means": string(m)}) for c, m in vocabulary.birth_sex.items()]
    yield _define("Hierarchical Systems", strings(hierarchical))
    yield _define("Vocabulary", _vocabulary(vocabulary))
    yield _define("Birth", 'Facts."Birth"(Patient)')
    yield _define("Sex", call('Facts."Sex"', "Patient", listed(birth_sex, _ANY)))
    yield _define("Is Deceased", 'Facts."Is Deceased"(Patient)')
    fasting = vocabulary.fasting_status
    answers = [f"{url}|{code}" for system, codes in fasting.answers.items() for url in urls[system] for code in codes]
    status = tupled(
        {"codes": strings(f"{url}|{fasting.code}" for url in urls[fasting.system]), "answers": strings(answers)}
    )
    yield _define("Observation Parts", call('Facts."Parts"', 'Facts."Observations"([Observation])', status))
    yield _define("Routes", _routes(vocabulary, mappings))
    yield _define(
        "Drugs",
        "Flatten({\n"
        '  Facts."Requested"([MedicationRequest], [Medication], "Routes"),\n'
        '  Facts."Stated"([MedicationStatement], [Medication], "Routes"),\n'
        '  Facts."Administered"([MedicationAdministration], [Medication], "Routes"),\n'
        '  Facts."Dispensed"([MedicationDispense], [Medication], "Routes") })',
    )
    eyes = [
        f"{url}|{code}" for system, codes in vocabulary.eye_body_sites.items() for url in urls[system] for code in codes
    ]
    yield _define("Procedures", call('Facts."Procedures"', "[Procedure]", strings(eyes)))
    yield _define(
        "Encounters",
        call('Facts."Encounters"', "[Encounter]", "[Condition]", strings(vocabulary.acute_encounter_classes)),
    )
    yield _define("Allergies", 'Facts."Allergies"([AllergyIntolerance])')
    for kind, empty in vocabulary.empty_lists.items():
        listed_as = strings(f"{url}|{empty.code}" for url in urls[empty.system])
        yield _define(f"Known Empty {kind}", call('Facts."Known Empty"', '["List"]', listed_as))
    rule = vocabulary.childbearing
    ended = " or ".join(
        call(
            'Judge."Fertility Ended"',
            "[Condition]",
            '"Procedures"',
            '"Birth"',
            codes_of(each),
            '"Hierarchical Systems"',
        )
        for each in rule.ended_by
    )
    yield _define(
        "Can Become Pregnant",
        call('Judge."Childbearing"', '"Sex"', '"Birth"', str(rule.fertile_to), str(rule.ended_from), ended or "false"),
    )
    yes_no = {
        f"{url}|{code}": word
        for word in ("yes", "no")
        for system, listed_codes in vocabulary.answer_codes.get(word, {}).items()
        for url in urls[system]
        for code in listed_codes
    }
    yield _define(
        "Reviews",
        "Flatten({\n"
        f'  Facts."Answers Given"([QuestionnaireResponse], {_pairs(yes_no)}),\n'
        f'  Facts."Answers Observed"([Observation], {_pairs(yes_no)}) }})',
    )
    yield (
        'define function "Settled"(computed System.Boolean, question System.String):\n'
        f'  Judge."Settled"(computed, "Reviews" V where V.atom = question return all V, {since(lasts)})'
    )
    yield (
        f'define function "Found"(about List<{_about()}>):\n'
        '  Judge."Found"([Condition], "Birth", about, "Hierarchical Systems")'
    )


def _about() -> str:
    return spelled("$About")


def _pairs(pairs: Mapping[str, str]) -> str:
    return listed((tupled({"code": string(code), "means": string(means)}) for code, means in pairs.items()), _ANY)


def _vocabulary(vocabulary: Vocabulary) -> str:
    codes = {
        f"{url}|{code}": word
        for word, by_system in vocabulary.answer_codes.items()
        for system, listed_codes in by_system.items()
        for url in vocabulary.systems[system]
        for code in listed_codes
    }
    texts = {text: word for word, all_texts in vocabulary.answer_texts.items() for text in all_texts}
    spellings = (
        tupled({"sent": string(sent), "meant": string(meant)}) for sent, meant in vocabulary.unit_replacements.items()
    )
    populations = (
        tupled({"who": string(who), "codes": strings(listed_codes)})
        for who, listed_codes in vocabulary.populations.items()
    )
    return tupled(
        {
            "answerCodes": _pairs(codes),
            "answerTexts": _pairs(texts),
            "spellings": listed(spellings, _ANY),
            "normalRanges": strings(vocabulary.normal_range_types),
            "populations": listed(populations, _ANY),
        }
    )


def _routes(vocabulary: Vocabulary, mappings: Mappings) -> str:
    codes = {
        f"{url}|{code.code}": word
        for word, route in vocabulary.routes.items()
        for system, listed_codes in route.codes.items()
        for url in vocabulary.systems[system]
        for code in listed_codes
    }
    texts = {text: word for word, route in vocabulary.routes.items() for text in route.texts}
    products = {code: route for each in mappings.value_sets.values() for code, route in each.routes.items()}
    return tupled({"codes": _pairs(codes), "texts": _pairs(texts), "products": _typed_pairs(products)})


def _typed_pairs(pairs: Mapping[str, str]) -> str:
    return _pairs(pairs) if pairs else "{} as List<Tuple { code System.String, means System.String }>"


def _results(each: Input, mappings: Mappings) -> str:
    vocabulary = mappings.vocabulary
    codes = [
        tupled({"code": string(f"{url}|{code.code}"), "role": string(role)}) + f"  {comment(code.display)}"
        for role, role_codes in each.codes.items()
        for code in role_codes
        for url in vocabulary.systems[code.system]
    ]
    definition = tupled(
        {
            "codes": "{\n" + indented(_with_commas(codes)) + " }",
            "needsFasting": strings(each.needs_fasting),
            "measures": listed((_measure(m, vocabulary) for m in each.measures), _measure_type()),
            "answers": null(_type("Answers")) if each.answers is None else _answers(each.answers),
        }
    )
    return call('Facts."Results"', '"Observation Parts"', definition, '"Vocabulary"')


def _with_commas(lines: list[str]) -> str:
    """Put the commas of a list before the comments of its lines."""
    last = len(lines) - 1
    return "\n".join(
        line if number == last else line.replace(" }  /*", " },  /*", 1) for number, line in enumerate(lines)
    )


def _type(type_name: str) -> str:
    return spelled(f"${type_name}")


def _measure_type() -> str:
    return _type("Measure")


def _measure(measure: Measure, vocabulary: Vocabulary) -> str:
    reader = UnitReader(measure, vocabulary)
    written = dict.fromkeys(form for code in measure.ucum for form in _spellings(code, vocabulary))
    ucum = [(form, found) for form in written if (found := reader.compared_in(UCUM, form, None)) is not None]
    printed = [(text, found) for text in measure.printed if (found := reader.compared_in(None, None, text)) is not None]

    def rows(units: list[tuple[str, tuple[str, object]]]) -> str:
        return listed(
            (
                tupled({"text": string(text), "unit": string(unit), "factor": decimal(factor)})  # type: ignore[arg-type]
                for text, (unit, factor) in units
            ),
            _type("Unit"),
        )

    plausible = (
        tupled({"unit": string(unit), "low": decimal(low), "high": decimal(high)})
        for unit, (low, high) in measure.plausible.items()
    )
    doubtful = (
        tupled({"unit": string(unit), "lowest": decimal(lowest)}) for unit, lowest in measure.doubtful_below.items()
    )
    return tupled(
        {
            "roles": strings(measure.roles),
            "unit": string(measure.unit),
            "score": boolean(value=measure.score),
            "ucum": rows(ucum),  # type: ignore[arg-type]
            "printed": rows(printed),  # type: ignore[arg-type]
            "plausible": listed(plausible, f"Tuple {{ unit {STRING}, low {DECIMAL}, high {DECIMAL} }}"),
            "step": decimal(measure.step),
            "doubtfulBelow": listed(doubtful, f"Tuple {{ unit {STRING}, lowest {DECIMAL} }}"),
            "sureCodes": strings(f"{url}|{code}" for code in measure.sure_codes for url in vocabulary.systems["loinc"]),
        }
    )


def _spellings(code: str, vocabulary: Vocabulary) -> Iterator[str]:
    """Give a UCUM code and the other spellings of the same unit."""
    yield code
    for head, *others in vocabulary.same_units:
        for other in (head, *others):
            for spelling in (head, *others):
                if other in code:
                    yield code.replace(other, spelling)


def _answers(answers: Answers) -> str:
    sets = (
        tupled({"answer": string(word), "rows": codes_of(value_set)}) for word, value_set in answers.value_sets.items()
    )
    return tupled(
        {
            "yesNo": boolean(value=answers.yes_no),
            "texts": _pairs(dict(answers.texts)) if answers.texts else f"{{}} as List<{_type('Pair')}>",
            "valueSets": listed(sets, f"Tuple {{ answer {STRING}, rows List<{_type('Row')}> }}"),
            "numbers": listed((_number(rule) for rule in answers.numbers), _type("NumberAnswer")),
        }
    )


def _number(rule: NumberAnswer) -> str:
    return tupled(
        {
            "roles": strings(rule.roles),
            "unit": maybe(rule.unit),
            "positive": limits(rule.positive),
            "negative": null(_type("Limits")) if rule.negative is None else limits(rule.negative),
            "belowDetection": boolean(value=rule.below_detection),
            "otherwise": maybe(rule.otherwise.value if rule.otherwise is not None else None),
        }
    )


def _rows(set_name: str, mappings: Mappings) -> Iterator[str]:
    """Write the codes of a value set and of those it includes, as the index of codes reads them."""
    owner = mappings.value_sets[set_name]
    for member in with_included(set_name, mappings.value_sets):
        source = mappings.value_sets[member]
        for system, codes in source.codes.items():
            for code in codes:
                yield _row(owner, source, system, code, mappings.vocabulary)


def _row(owner: ValueSet, source: ValueSet, system: System, code: Code, vocabulary: Vocabulary) -> str:
    naming = None if owner.refutable == "any-code" else sorted(map(undotted, owner.refutable))
    doubt = doubt_of(owner, system, code.code) or doubt_of(source, system, code.code)
    selector = f"Code {string(code.code)} from {name(_alias(system, 0))} display {string(code.display)}"
    why = maybe(doubt.value if doubt is not None else None)
    if system not in vocabulary.hierarchical:
        whole = naming is None or undotted(code.code) in naming
        return call('Facts."Exact"', selector, why, boolean(value=whole))
    low, _, high = undotted(code.code).partition("-")
    names = null(f"List<{STRING}>") if naming is None else strings(naming)
    excluding = strings(undotted(each) for each in source.excluding.get(system, ()))
    return call('Facts."Root"', selector, string(low), string(high or low), why, names, excluding)
