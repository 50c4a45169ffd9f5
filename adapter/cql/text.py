"""CQL source as text: literals, typed nulls, tuples, lists, and windows that end today."""

from collections.abc import Iterable, Mapping
from decimal import Decimal

from adapter.eligibility.values import Limits, Period, plain

STRING, DECIMAL, DATE, INTEGER = "System.String", "System.Decimal", "System.Date", "System.Integer"
BOOLEAN = "System.Boolean"
TODAY = "Today()"
WIDTH = 110


def string(text: str) -> str:
    """Write a CQL string literal."""
    escaped = text.replace("\\", "\\\\").replace("'", "\\'").replace("\r", " ").replace("\n", "\\n")
    return f"'{escaped}'"


def name(text: str) -> str:
    """Write a quoted identifier."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def comment(text: str) -> str:
    """Write a comment; a text cannot end it early."""
    return f"/* {text.replace('*/', '* /')} */"


def null(kind: str) -> str:
    """Write a null of a type."""
    return f"null as {kind}"


def maybe(text: str | None) -> str:
    """Write a string literal, or a null string."""
    return null(STRING) if text is None else string(text)


def boolean(*, value: bool) -> str:
    """Write a boolean literal."""
    return "true" if value else "false"


def decimal(number: Decimal | None) -> str:
    """Write a decimal literal with a point, or a null decimal."""
    if number is None:
        return null(DECIMAL)
    text = plain(number)
    return text if "." in text else f"{text}.0"


def listed(items: Iterable[str], kind: str) -> str:
    """Write a list of expressions, each on a line of its own where they are long; ``kind`` types an empty one."""
    found = list(items)
    if not found:
        return f"{{}} as List<{kind}>"
    flat = ", ".join(found)
    if len(flat) <= WIDTH and "\n" not in flat:
        return f"{{ {flat} }}"
    return "{\n" + indented(",\n".join(found)) + " }"


def strings(texts: Iterable[str]) -> str:
    """Write a list of string literals."""
    return listed(map(string, texts), STRING)


def tupled(elements: Mapping[str, str]) -> str:
    """Write a tuple, on lines of its own where it is long."""
    parts = [f"{key}: {value}" for key, value in elements.items()]
    flat = ", ".join(parts)
    if len(flat) <= WIDTH and "\n" not in flat:
        return f"Tuple {{ {flat} }}"
    return "Tuple {\n" + indented(",\n".join(parts)) + " }"


def call(function: str, *arguments: str) -> str:
    """Write a call of ``Library."Function"``, its arguments on lines of their own where they are long."""
    flat = ", ".join(arguments)
    if len(flat) <= WIDTH and "\n" not in flat:
        return f"{function}({flat})"
    return f"{function}(\n" + indented(",\n".join(arguments)) + ")"


def indented(text: str) -> str:
    """Move a text two columns to the right."""
    return "\n".join(f"  {line}" if line else line for line in text.split("\n"))


def since(period: Period | None) -> str:
    """Write the first day of a window that ends today; a null date for none."""
    if period is None:
        return null(DATE)
    months = period.years * 12 + period.months
    text = TODAY
    if months and months % 12 == 0:
        text += f" - {months // 12} {'year' if months == 12 else 'years'}"  # noqa: PLR2004 (months of a year)
    elif months:
        text += f" - {months} {'month' if months == 1 else 'months'}"
    if period.days:
        text += f" - {period.days} {'day' if period.days == 1 else 'days'}"
    return text


def limits(limit: Limits) -> str:
    """Write limits as the shared libraries compare with them."""
    match (limit.at_least, limit.more_than, limit.at_most, limit.less_than):
        case (least, None, None, None) if least is not None:
            return f'Facts."At Least"({decimal(least)})'
        case (None, least, None, None) if least is not None:
            return f'Facts."More Than"({decimal(least)})'
        case (None, None, most, None) if most is not None:
            return f'Facts."At Most"({decimal(most)})'
        case (None, None, None, most) if most is not None:
            return f'Facts."Less Than"({decimal(most)})'
        case (least, None, most, None) if least is not None and most is not None:
            return f'Facts."From To"({decimal(least)}, {decimal(most)})'
    return tupled(
        {
            "atLeast": decimal(limit.at_least),
            "moreThan": decimal(limit.more_than),
            "atMost": decimal(limit.at_most),
            "lessThan": decimal(limit.less_than),
        }
    )


def limits_by_unit(by_unit: Mapping[str, Limits]) -> str:
    """Write limits for each unit a result can be compared in."""
    return listed(
        (tupled({"unit": string(unit), "limits": limits(limit)}) for unit, limit in by_unit.items()), "System.Any"
    )
