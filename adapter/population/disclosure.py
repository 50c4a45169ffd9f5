"""What may be said of how many: counts that name nobody, alone or subtracted from one another.

Every count is told as a multiple of the smallest cell, and one below it as less than it.  Two such counts differ by a
multiple too, so no difference of tables, steps or points of a curve singles anyone out.  With a smallest cell of 1
counts are exact, for those who may see them.
"""

import msgspec
import numpy as np
from numpy.typing import NDArray

Count = int | None
"""A count as it is told; None where it is not 0 and less than the smallest cell."""


class Disclosure(msgspec.Struct, frozen=True):
    """How counts are told."""

    smallest_cell: int = 5

    def count(self, number: int) -> Count:
        """Tell a count.

        >>> [Disclosure(5).count(number) for number in (0, 4, 5, 12, 13)]
        [0, None, 5, 10, 15]
        """
        if number == 0 or self.smallest_cell <= 1:
            return number
        if number < self.smallest_cell:
            return None
        return (2 * number + self.smallest_cell) // (2 * self.smallest_cell) * self.smallest_cell

    def of(self, flags: NDArray[np.bool_]) -> Count:
        """Tell for how many patients something is so."""
        return self.count(int(np.count_nonzero(flags)))
