"""The closed list of reasons: the guide says of each what the findings say."""

import re
from pathlib import Path

from adapter.eligibility.reason import Reason

GUIDE = Path(__file__).parent.parent / "docs" / "semantics.md"


def test_the_guide_explains_every_reason_in_the_words_of_the_findings() -> None:
    rows = re.findall(r"^\| ([A-Z-]+) \| (.+?) \| (.+?) \|$", GUIDE.read_text(encoding="utf-8"), re.MULTILINE)
    assert rows == [(reason.value, reason.meaning, reason.action) for reason in Reason]
