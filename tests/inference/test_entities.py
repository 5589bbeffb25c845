"""Entities are runs of tagged words, with their characters in the text as it was sent."""

import pytest

from core.catalogue import DEFAULT_BASE_MODEL
from inference.pool.base import LoadedBase, load_base
from inference.pool.entities import Entity, merge

TAGS = ("O", "B-ORG", "I-ORG", "B-PER", "I-PER")
TEXT = "Jané  Roe-Smith,Ada 会社"
WORDS = ["Jané", "Roe", "-", "Smith", ",", "Ada", "会", "社"]


@pytest.fixture(scope="module")
def base() -> LoadedBase:
    return load_base(DEFAULT_BASE_MODEL)


def entities(base: LoadedBase, tags: str) -> list[tuple[str, str, float]]:
    """What is found in TEXT with these tags of its words: the characters, the label, the score."""
    [tokens] = base.tokenise_words([TEXT], 256)
    rows = []
    for index, tag in enumerate(tags.split()):
        row = [0.01] * len(TAGS)
        row[TAGS.index(tag)] = 0.5 + index / 20
        rows.append(row)
    found: list[Entity] = merge(tokens.words, rows, TAGS)
    return [(TEXT[entity.start : entity.end], entity.label, round(entity.score, 4)) for entity in found]


def test_words_are_cut_where_the_text_has_them(base: LoadedBase) -> None:
    [tokens] = base.tokenise_words([TEXT], 256)
    assert [TEXT[word.start : word.end] for word in tokens.words] == WORDS


def test_words_that_go_on_are_one_entity_with_the_mean_of_their_scores(base: LoadedBase) -> None:
    assert entities(base, "B-PER I-PER I-PER I-PER O O O O") == [("Jané  Roe-Smith", "PER", 0.575)]


def test_each_beginning_and_each_change_of_type_is_a_new_entity(base: LoadedBase) -> None:
    assert [found[:2] for found in entities(base, "B-PER B-PER O I-PER O I-PER I-ORG I-ORG")] == [
        ("Jané", "PER"), ("Roe", "PER"), ("Smith", "PER"), ("Ada", "PER"), ("会社", "ORG"),
    ]  # fmt: skip


def test_where_all_is_outside_there_is_none(base: LoadedBase) -> None:
    assert entities(base, "O O O O O O O O") == []


def test_a_text_that_is_cut_keeps_the_words_that_begin_within(base: LoadedBase) -> None:
    [tokens] = base.tokenise_words([TEXT], 5)
    kept = tokens.cut(5)
    assert len(kept.ids) == 5
    assert [TEXT[word.start : word.end] for word in kept.words] == WORDS[:3]
