"""What pydantic finds wrong, in words of ours."""

from collections.abc import Iterator, Sequence
from difflib import get_close_matches
from typing import Any, get_args

from pydantic import BaseModel, ValidationError

Place = tuple[int | str, ...]
FEW = 8  # keys of a section that are all named


def faults_of(error: ValidationError, model: type[BaseModel]) -> Iterator[tuple[Place, str]]:
    """Yield where each fault is and what is wrong there; a key that is none comes with the one that was meant."""
    for each in error.errors():
        place = each["loc"]
        if each["type"] == "extra_forbidden":
            yield place, _no_such_key(model, place)
        elif each["type"] == "missing":
            yield place, "missing"
        else:
            message, shown = each["msg"].removeprefix("Value error, "), repr(each["input"])
            yield place, message if len(shown) > 60 else f"{message}, got {shown}"


def _no_such_key(model: type[BaseModel], place: Place) -> str:
    keys = list(_keys_at(model, place[:-1]))
    if close := get_close_matches(str(place[-1]), keys, 1):
        return f"no such key; did you mean {close[0]}?"
    return f"no such key; expected one of {', '.join(keys)}" if 0 < len(keys) <= FEW else "no such key"


def _keys_at(model: type[BaseModel], place: Sequence[int | str]) -> Iterator[str]:
    """Yield the keys of a section; none if it is not found."""
    section: type[BaseModel] | None = model
    for name in place:
        if section is None:
            return
        if isinstance(name, str):  # a number is the place in a list of what has been found already
            field = section.model_fields.get(name)
            section = _section_in(field.annotation) if field else None
    yield from section.model_fields if section else ()


def _section_in(kind: Any) -> type[BaseModel] | None:
    """Return the section that a field holds: alone, in a list, or if there is one."""
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        return kind
    return next(filter(None, map(_section_in, get_args(kind))), None)
