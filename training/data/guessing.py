"""The likeliest task and columns of a file, by its columns' names and its first rows."""

from collections.abc import Collection, Sequence

from core.catalogue import Task
from training.data.columns import SPLIT_VALUES, ColumnMapping

_TEXT_NAMES = (
    "text sentence message question review comment content utterance query tweet description document body "
    "input email ticket title subject"
).split()
_LABEL_NAMES = (
    "label labels category categories intent class topic sentiment tag tags target output label_text y"
).split()
_SEVERAL_NAMES = ("labels", "categories", "tags", "topics", "intents", "classes")
_CHAT_NAMES = ("messages",)
_QUESTION_NAMES = ("question", "prompt", "instruction")
_ANSWER_NAMES = ("answer", "completion", "response")
_TOKEN_NAMES = ("tokens", "words")
_TAG_NAMES = ("tags", "ner_tags", "labels")
_SPLIT_NAMES = ("split", "fold", "partition", "subset", "set")


def guess_task(columns: Sequence[str], rows: Sequence[Sequence[str]], several: Collection[str] = ()) -> Task:
    """What a file is labeled for, by its columns' names and by which of them hold `several` values a row."""
    if _named(several, _CHAT_NAMES, taken=()) is not None:
        return Task.CHAT
    tokens = _named(several, _TOKEN_NAMES, taken=())
    if tokens is not None and _named(several, _TAG_NAMES, taken=(tokens,)) is not None:
        return Task.TAGGING
    if several and len(columns) > len(several):
        return Task.MULTI_LABEL
    if all(_is_one_of(columns, names) for names in (_QUESTION_NAMES, _ANSWER_NAMES)):
        return Task.CHAT
    return Task.MULTI_LABEL if _separator_in(columns, rows) else Task.CLASSIFICATION


def guess_mapping(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    several: Collection[str] = (),
    task: Task = Task.CLASSIFICATION,
) -> ColumnMapping | None:
    """The likeliest mapping for `task`, by the columns' names and, where those say nothing, by the values in `rows`.

    None where there are not enough columns.
    """
    split = _named(columns, _SPLIT_NAMES, taken=())
    if split is not None and not _holds_splits(columns, rows, split):
        split = None
    free = [name for name in columns if name != split]
    match task:
        case Task.CHAT:
            return _guess_chat(free, split, several)
        case Task.TAGGING:
            return _guess_tagging(free, split)
        case _:
            return _guess_labeled(
                columns, rows, [one for one in free if one not in several], split, task, several
            )


def _guess_chat(free: Sequence[str], split: str | None, several: Collection[str]) -> ColumnMapping | None:
    messages = _named([name for name in free if name in several], _CHAT_NAMES, taken=())
    if messages is not None:
        return ColumnMapping(messages, None, split, Task.CHAT)
    if len(free) < 2:
        return ColumnMapping(free[0], None, split, Task.CHAT) if free else None
    question = _named(free, (*_QUESTION_NAMES, *_TEXT_NAMES), taken=()) or free[0]
    answer = _named(free, _ANSWER_NAMES, taken=(question,))
    return ColumnMapping(
        question, answer or next(name for name in free if name != question), split, Task.CHAT
    )


def _guess_tagging(free: Sequence[str], split: str | None) -> ColumnMapping | None:
    if len(free) < 2:
        return None
    tokens = _named(free, _TOKEN_NAMES, taken=()) or free[0]
    tags = _named(free, _TAG_NAMES, taken=(tokens,))
    return ColumnMapping(tokens, tags or next(name for name in free if name != tokens), split, Task.TAGGING)


def _guess_labeled(
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    free: Sequence[str],
    split: str | None,
    task: Task,
    several: Collection[str],
) -> ColumnMapping | None:
    if task is Task.MULTI_LABEL and several and free:
        return ColumnMapping(
            _named(free, _TEXT_NAMES, taken=()) or _longest(columns, rows, free),
            _named(several, _LABEL_NAMES, taken=()) or next(name for name in columns if name in several),
            split,
            task,
        )
    if len(free) < 2:
        return None
    found = _named(free, _TEXT_NAMES, taken=())
    label = _named(free, _LABEL_NAMES, taken=(found,))
    text = found or _longest(columns, rows, [name for name in free if name != label])
    if label is None:
        label = _most_repetitive(columns, rows, [name for name in free if name != text])
    separator = None
    if task is Task.MULTI_LABEL:
        separator = _separator_in(columns, rows) or "|"
    return ColumnMapping(text, label, split, task, separator)


def _is_one_of(columns: Sequence[str], names: Sequence[str]) -> bool:
    return any(column.strip().lower() in names for column in columns)


def _separator_in(columns: Sequence[str], rows: Sequence[Sequence[str]]) -> str | None:
    """What separates the labels in a column that is named for several of them; None where there is none such."""
    for column in columns:
        if column.strip().lower() in _SEVERAL_NAMES:
            for separator in ("|", ";"):
                if any(separator in value for value in _values(columns, rows, column)):
                    return separator
    return None


def _longest(columns: Sequence[str], rows: Sequence[Sequence[str]], names: Sequence[str]) -> str:
    return max(names, key=lambda name: _mean_length(columns, rows, name))


def _named(columns: Collection[str], names: Sequence[str], taken: Sequence[str | None]) -> str | None:
    """The column with the first of `names` that one has, exactly or as a part of its name."""
    free = [column for column in columns if column not in taken]
    for matches in (
        lambda column, name: column.strip().lower() == name,
        lambda column, name: name in column.lower().replace("-", "_").split("_"),
    ):
        for name in names:
            for column in free:
                if matches(column, name):
                    return column
    return None


def _values(columns: Sequence[str], rows: Sequence[Sequence[str]], name: str) -> list[str]:
    position = list(columns).index(name)
    return [row[position] for row in rows]


def _holds_splits(columns: Sequence[str], rows: Sequence[Sequence[str]], name: str) -> bool:
    return all(value.strip().lower() in SPLIT_VALUES for value in _values(columns, rows, name))


def _mean_length(columns: Sequence[str], rows: Sequence[Sequence[str]], name: str) -> float:
    values = _values(columns, rows, name)
    return sum(map(len, values)) / max(1, len(values))


def _most_repetitive(columns: Sequence[str], rows: Sequence[Sequence[str]], names: Sequence[str]) -> str:
    """The column with the fewest different values, the shorter ones on a tie; a constant one says nothing."""

    def rank(name: str) -> tuple[bool, int, float]:
        distinct = len(set(_values(columns, rows, name)))
        return (distinct < 2 and len(names) > 1, distinct, _mean_length(columns, rows, name))

    return min(names, key=rank)
