"""What a run of ``trial-adapter screen`` gives."""

import json
from collections.abc import Callable


class Run:
    """What a run of ``trial-adapter screen`` gave."""

    def __init__(self, code: int, out: str, err: str) -> None:
        self.code = code
        self.patients = {json.loads(line)["patient"] for line in out.splitlines()}
        self.lines = err.splitlines()


Screen = Callable[..., Run]
