"""Tags of tokens, in BIO: `B-X` begins an entity of type X, `I-X` goes on with it, `O` is outside of any."""

from collections.abc import Sequence

from training.data.errors import DataError

OUTSIDE = "O"
_BEGINS = frozenset("BSU")  # alone, too: S in BIOES, U in BILOU
_ENDS = frozenset("EL")
_CLOSES = frozenset("SUEL")
_PREFIXES = _BEGINS | _ENDS | {"I"}


def to_bio(tags: Sequence[str], number: int) -> tuple[str, ...]:
    """`tags` of row `number`, written in BIO, IOB1, BIOES or BILOU, as BIO. Raises DataError naming row and token.

    An `I-X` that follows no X begins one, as IOB1 has it (Ramshaw and Marcus 1995).
    """
    result = []
    open_type: str | None = None
    for position, tag in enumerate(tags, start=1):
        if tag.upper() == OUTSIDE:
            result.append(OUTSIDE)
            open_type = None
            continue
        prefix, type_ = _parse(tag, number, position)
        if prefix in _ENDS and type_ != open_type:
            raise DataError(
                f"Row {number}, token {position}: its tag ends an entity that did not begin. "
                "Correct the tags before it."
            )
        begins = prefix in _BEGINS or type_ != open_type
        result.append(f"{'B' if begins else 'I'}-{type_}")
        open_type = None if prefix in _CLOSES else type_
    return tuple(result)


def _parse(tag: str, number: int, position: int) -> tuple[str, str]:
    prefix, sign, type_ = tag[:1].upper(), tag[1:2], tag[2:].strip()
    if prefix not in _PREFIXES or sign not in ("-", "_") or not type_:
        raise DataError(
            f"Row {number}, token {position}: its tag is neither O nor of the form B-TYPE or I-TYPE. "
            "Write the tags in BIO (BIOES and BILOU will do as well)."
        )
    return prefix, type_


def entity_types(tags: Sequence[str]) -> tuple[str, ...]:
    """The type of each entity in BIO `tags`, in their order."""
    return tuple(tag[2:] for tag in tags if tag.startswith("B-"))
