"""The narrative of a resource is XHTML, whatever the words of a trial hold."""

from xml.etree import ElementTree as Xml

from hypothesis import given
from hypothesis import strategies as st

from adapter.emission.narrative import narrative


@given(st.text(), st.lists(st.tuples(st.text(), st.text()), max_size=3))
def test_it_is_well_formed_for_any_text(title: str, rows: list[tuple[str, str]]) -> None:
    div = Xml.fromstring(narrative(title, rows)["div"])  # noqa: S314 (made a line above)
    assert div.tag == "{http://www.w3.org/1999/xhtml}div"
    assert len(div.findall(".//{*}tr")) == len(rows)


def test_words_are_kept_and_markup_is_not() -> None:
    div = narrative("a", [("<script>", "HbA1c\u00a0\u2265 7\r\n& more")])["div"]
    assert "<td>&lt;script&gt;</td><td>HbA1c\u00a0\u2265 7<br/>&amp; more</td>" in div
