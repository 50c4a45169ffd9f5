"""What a value says of itself, worked out once: it is asked many times a message.

It is kept with the value, and gone with it: what is told of a version names a patient.
"""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

_T = TypeVar("_T")


class ToldOnce(Generic[_T]):
    """A property that is worked out when it is first asked for; its owner has a ``__dict__``, and clears it."""

    def __init__(self, of: Callable[[Any], _T]) -> None:
        self._of = of
        self._name = of.__name__
        self.__doc__ = of.__doc__

    def __get__(self, owner: Any, _kind: type) -> _T:  # noqa: ANN401 (a descriptor is asked by any)
        found = owner.__dict__[self._name] = self._of(owner)
        return found
