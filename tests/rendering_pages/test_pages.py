"""Pages for people: whole, of one file, safe against any text, readable by everyone, the same on every run."""

import base64
import hashlib
import itertools
import re
from pathlib import Path

import msgspec
import pytest
from cases import catalog
from forms import Page
from hypothesis import given
from hypothesis import strategies as st

from adapter.catalog.catalog import Catalog
from adapter.catalog.checks_text import coverage
from adapter.catalog.trial_file import Text
from adapter.eligibility.trial import Contradiction, Trial
from adapter.errors import AdapterError
from adapter.mapping.table import Code, Policy, ValueSet
from adapter.rendering import pages
from adapter.rendering.markup import element, escaped
from adapter.rendering.pages import index_page, page_name, trial_page, write_pages

TRIALS = {trial.key: trial for trial in catalog().trials}
HOSTILE = "</style></title><script>alert(1)</script><img src=x onerror=alert(2)>\" ' & --> \u202e\x00 ${x}"
CSS = (Path(pages.__file__).parent / "page.css").read_text(encoding="utf-8")


def cql_of(trial: Trial) -> dict[str, str]:
    ids = [each for criterion in trial.criteria for each in (criterion.id, *(atom.id for atom in criterion.atoms))]
    return {name: f'define "{name}":\n  null < 1' for name in (*ids, "Is Eligible")}


def page_of(key: str) -> Page:
    return Page(trial_page(TRIALS[key], catalog(), cql_of(TRIALS[key])))


def hostile() -> tuple[Trial, Catalog]:
    """Give a trial of which every text that a page shows attacks the page."""
    trial, file = TRIALS["CFMSC"], catalog().files["CFMSC"]
    said = Text(HOSTILE, HOSTILE, ours=True)
    metadata = msgspec.structs.replace(
        file.metadata, title=said, sponsor=said, status=said, conditions=(said,), absent=(HOSTILE,), dates_note=HOSTILE
    )
    criteria = []
    for entry in file.criteria:
        atoms = tuple(
            msgspec.structs.replace(each, ask=HOSTILE, left_to_people=HOSTILE, decision=HOSTILE) for each in entry.atoms
        )
        criteria.append(msgspec.structs.replace(entry, atoms=atoms, flags=(HOSTILE,), note=HOSTILE))
    source = msgspec.structs.replace(file.source, name=HOSTILE, eligibility=HOSTILE)
    made = msgspec.structs.replace(file, metadata=metadata, criteria=tuple(criteria), source=source)
    judged = tuple(
        msgspec.structs.replace(
            each,
            text=HOSTILE,
            atoms=tuple(msgspec.structs.replace(a, text=HOSTILE, decision=HOSTILE) for a in each.atoms),
        )
        for each in trial.criteria
    )
    contradiction = Contradiction(("CFMSC-I1a",), ("CFMSC-E1a",), HOSTILE)
    one = msgspec.structs.replace(
        trial, title=HOSTILE, version=HOSTILE, criteria=judged, notices=(HOSTILE,), contradictions=(contradiction,)
    )
    mappings = catalog().mappings
    codes = (Code(HOSTILE, HOSTILE, "verified"),)
    sets = {name: ValueSet(HOSTILE, {"snomed": codes}, note=HOSTILE) for name in mappings.value_sets}
    policy = {name: Policy(each.value, HOSTILE, HOSTILE) for name, each in mappings.policy.items()}
    known = msgspec.structs.replace(mappings, value_sets=sets, policy=policy)
    return one, msgspec.structs.replace(catalog(), files={**catalog().files, trial.key: made}, mappings=known)


def test_no_text_of_a_trial_becomes_part_of_the_page() -> None:
    trial, other = hostile()
    text = trial_page(trial, other, dict.fromkeys(cql_of(trial), HOSTILE), {"CFMSC-I1a": HOSTILE})
    page = Page(text)
    assert not {"script", "img", "iframe", "link", "object"} & {tag for tag, _ in page.tags}
    assert not [name for _, attributes in page.tags for name in attributes if name.startswith("on")]
    assert [tag for tag, _ in page.tags].count("style") == 1
    assert "<script>alert(1)</script>" in page.text
    assert "\u202e" not in text
    assert "\x00" not in text
    index = Page(index_page(other, [trial]))
    assert not {"script", "img"} & {tag for tag, _ in index.tags}
    assert "<script>alert(1)</script>" in index.text


@given(st.text())
def test_an_escaped_text_reads_as_itself_and_makes_no_tag(text: str) -> None:
    page = Page(element("p", text, title=text))
    assert [tag for tag, _ in page.tags] == ["p"]
    kept = re.sub("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ud800-\udfff]", "\ufffd", text)
    assert "".join(page.words) == kept
    assert page.all("p")[0]["title"] == kept


def test_what_is_html_already_is_not_escaped_twice() -> None:
    assert escaped(element("b", "<")) == "<b>&lt;</b>"


@pytest.mark.parametrize("key", TRIALS)
def test_a_page_needs_nothing_but_itself(key: str) -> None:
    page = page_of(key)
    links = [each["href"] or "" for each in page.all("a")]
    assert all(each.startswith("#") or each == "index.html" for each in links)
    assert not [attributes for _, attributes in page.tags if "src" in attributes]
    assert "url(" not in CSS
    assert "@import" not in CSS
    (policy,) = [each["content"] or "" for each in page.all("meta") if each.get("http-equiv")]
    digest = base64.b64encode(hashlib.sha256(CSS.encode()).digest()).decode()
    assert policy.startswith(f"default-src 'none'; style-src 'sha256-{digest}'")


@pytest.mark.parametrize("key", TRIALS)
def test_every_link_leads_somewhere_and_every_id_is_one_place(key: str) -> None:
    page = page_of(key)
    ids = [each["id"] for _, each in page.tags if "id" in each]
    assert len(ids) == len(set(ids))
    assert {each["href"] for each in page.all("a")} - {"index.html"} <= {f"#{each}" for each in ids}


@pytest.mark.parametrize("key", TRIALS)
def test_a_page_can_be_read_by_ear_and_by_keyboard(key: str) -> None:
    page = page_of(key)
    assert page.all("html") == [{"lang": "en"}]
    for landmark in ("header", "nav", "main", "footer", "h1", "title"):
        assert len(page.all(landmark)) == 1, landmark
    levels = [int(tag[1]) for tag, _ in page.tags if re.fullmatch("h[1-6]", tag)]
    assert all(later - earlier <= 1 for earlier, later in itertools.pairwise(levels))
    assert len(page.all("table")) == len(page.all("caption"))
    assert all(each.get("scope") in ("col", "row") for each in page.all("th"))
    assert len(page.all("details")) == len(page.all("summary"))
    assert not [each for _, each in page.tags if "tabindex" in each]


@pytest.mark.parametrize("key", TRIALS)
def test_a_page_shows_every_sentence_question_decision_code_and_cql(key: str) -> None:
    page, file = page_of(key), catalog().files[key]
    shown = page.text
    asked = [atom.ask for criterion in file.criteria for atom in criterion.atoms if atom.ask]
    decided = [atom.decision for criterion in file.criteria for atom in criterion.atoms if atom.decision]
    left = [atom.left_to_people for criterion in file.criteria for atom in criterion.atoms if atom.left_to_people]
    sentences = [criterion.text for criterion in file.criteria]
    gaps = [*file.metadata.absent, *file.metadata.inconsistent, *file.notices]
    for each in (*sentences, *asked, *decided, *left, *gaps, *(other.text for other in file.contradictions)):
        assert " ".join(each.split()) in shown
    for name in cql_of(TRIALS[key]):
        assert f'define "{name}": null < 1' in shown


def test_a_code_stands_with_its_system_display_and_how_it_was_checked() -> None:
    assert "44054006 SNOMED CT Diabetes mellitus type 2 (disorder) proves it official source" in page_of("CFMSC").text
    assert "2345-7 LOINC Glucose [Mass/volume] in Serum or Plasma never counts official source" in page_of("CFMSC").text


def test_a_number_that_is_ours_is_marked_and_listed_and_one_of_the_text_is_not() -> None:
    shown = page_of("CFMSC").text
    assert "the latest body-mass index , no older than 90 days ours , is" in shown
    assert "28 days continuous use from which a steroid or immunosuppressant is long-term ours E5b" in shown
    assert "a negative pregnancy test , no older than 7 days , and no other in that time" in shown
    assert "3 months an HbA1c below the limit in this time breaks the run CFMSC-I2d: 3 consecutive months I2d" in shown


def test_what_cql_cannot_say_is_said() -> None:
    page = Page(trial_page(TRIALS["CFMSC"], catalog(), {}, {"CFMSC-I1a": "only a person can answer it"}))
    assert "CFMSC-I1a is null in CQL: only a person can answer it" in page.text
    assert "No CQL was given for the whole decision." in page.text


def test_a_source_that_is_not_covered_is_never_called_covered() -> None:
    file = catalog().files["CFMSC"]
    source = msgspec.structs.replace(file.source, eligibility=f"{file.source.eligibility}- No pets at home;\n")
    other = msgspec.structs.replace(file, source=source)
    assert coverage(file).is_whole
    assert coverage(other).left == {len(source.eligibility.splitlines()) - 1: ["No", "pets", "at", "home;"]}
    made = msgspec.structs.replace(catalog(), files={**catalog().files, "CFMSC": other})
    shown = Page(trial_page(TRIALS["CFMSC"], made, {})).text
    assert "The criteria do not cover the source: 304 of 308 words." in shown
    assert "No pets at home;" in shown
    assert "Every sentence of the source" not in shown
    assert "NOT every word (304 of 308)" in Page(index_page(made, [TRIALS["CFMSC"]])).text


def test_the_index_counts_every_atom_of_every_trial() -> None:
    page = Page(index_page(catalog(), catalog().trials))
    grades = [atom.grade for trial in catalog().trials for each in trial.criteria for atom in each.atoms]
    shares = [f"{grades.count(each)} ({100 * grades.count(each) / len(grades):.1f}\u00a0%)" for each in "ABC"]
    total = " ".join(("All trials", str(sum(len(trial.criteria) for trial in catalog().trials)), str(len(grades))))
    assert total in page.text
    for share in shares:
        assert " ".join(share.split()) in page.text
    assert {each["href"] for each in page.all("a")} == {
        "#content",
        *(page_name(trial) for trial in catalog().trials),
    }


def test_pages_are_written_whole_and_the_same_on_every_run(tmp_path: Path) -> None:
    first, second = tmp_path / "first", tmp_path / "second"
    cql = {key: cql_of(trial) for key, trial in TRIALS.items()}
    written = write_pages(first, catalog(), catalog().trials, cql)
    write_pages(second, catalog(), catalog().trials, cql)
    write_pages(second, catalog(), catalog().trials, cql)
    assert [path.name for path in written] == [*(page_name(trial) for trial in catalog().trials), "index.html"]
    assert sorted(path.name for path in first.iterdir()) == sorted(path.name for path in written)
    for path in written:
        assert path.read_bytes() == (second / path.name).read_bytes()


def test_a_folder_that_cannot_be_written_is_an_error_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "index.html").mkdir()
    with pytest.raises(AdapterError) as raised:
        write_pages(tmp_path, catalog(), [], {})
    assert raised.value.issues[0].code == "unwritable"
    assert [path.name for path in tmp_path.iterdir()] == ["index.html"]


def colours(block: str) -> dict[str, str]:
    return dict(re.findall(r"--([a-z-]+): (#[0-9a-f]{6});", block))


def luminance(colour: str) -> float:
    parts = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    red, green, blue = (each / 12.92 if each <= 0.04045 else ((each + 0.055) / 1.055) ** 2.4 for each in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("number", [0, 1, 2], ids=["light", "dark", "print"])
def test_text_stands_out_from_what_it_stands_on(number: int) -> None:
    shades = colours(re.findall(r":root \{(.*?)\}", CSS, re.DOTALL)[number])
    grounds = {"paper": ("ink", "soft", "link", "a", "b", "c", "ours", "warn", "in", "out"), "tint": ("ink", "soft")}
    pairs = [(word, ground) for ground, words in grounds.items() for word in words]
    pairs += [("link", "tint"), ("ink", "ours-tint"), ("ours", "ours-tint"), ("link", "ours-tint")]
    pairs += [("soft", "ours-tint"), ("ink", "warn-tint"), ("warn", "warn-tint"), ("link", "warn-tint")]
    pairs += [("on-grade", each) for each in "abc"]
    for word, ground in pairs:
        dark, light = sorted((luminance(shades[word]), luminance(shades[ground])))
        assert (light + 0.05) / (dark + 0.05) >= 4.5, (word, ground)


def test_paper_shows_what_is_folded_and_keeps_an_atom_together() -> None:
    paper = CSS[CSS.index("@media print {") :]
    assert "details::details-content { content-visibility: visible;" in paper
    assert re.search(r"\.criterion, \.statement, \.atoms > tbody.*break-inside: avoid", paper)
    assert "prefers-color-scheme: dark" in CSS
