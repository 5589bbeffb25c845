"""The engine agrees with transformers and PEFT, row by row, whoever else is in the batch."""

import math
from collections.abc import Sequence

import pytest
import torch

from core.catalogue import DEFAULT_BASE_MODEL, Task
from inference.pool.adapters import Adapter, parse
from inference.pool.base import LoadedBase, cut, load_base
from inference.pool.engine import Engine, Row
from tests.inference.adapter_files import ALL_TARGETS, Reference

TEXTS = [
    "My card has not arrived yet.",
    "refund",
    "I was charged twice for the same order, and nobody answers my e-mails. Please help!",
    "Où est ma commande ? Ça fait trois semaines…",
    "How do I change my password " * 20,
    "请问我的订单在哪里",
    "[PERSON] asked for [EMAIL_ADDRESS] to be removed",
    "refund",
]
TOLERANCE = 1e-5


@pytest.fixture(scope="module")
def base() -> LoadedBase:
    torch.set_num_threads(1)
    return load_base(DEFAULT_BASE_MODEL)


@pytest.fixture(scope="module")
def references() -> list[Reference]:
    return [
        Reference(["a", "b"], seed=1),
        Reference(["a", "b", "c"], seed=2, targets=ALL_TARGETS, rank=4, alpha=8),
        Reference(
            [f"label {i}" for i in range(77)], seed=3, targets=("query", "key", "intermediate.dense"), rank=16
        ),
        Reference(["x", "y"], seed=4, targets=("output.dense",), max_length=16),
        Reference(["p", "q", "r"], seed=5, method="full"),
    ]


@pytest.fixture(scope="module")
def adapters(base: LoadedBase, references: list[Reference]) -> list[Adapter]:
    return [parse(reference.file(), {base.id: base}) for reference in references]


def rows_of(adapter: Adapter, texts: Sequence[str] = TEXTS) -> list[Row]:
    return [Row(cut(ids, adapter.max_length), adapter) for ids in adapter.base.tokenise(texts)]


def furthest(results: Sequence[torch.Tensor | None], expected: torch.Tensor) -> float:
    return float((torch.stack([result for result in results if result is not None]) - expected).abs().max())


def test_tokens_are_those_of_transformers(base: LoadedBase, references: list[Reference]) -> None:
    assert base.tokenise(TEXTS) == references[0].tokenizer(TEXTS)["input_ids"]


def test_each_adapter_alone_agrees_with_peft(references: list[Reference], adapters: list[Adapter]) -> None:
    for reference, adapter in zip(references, adapters, strict=True):
        results = Engine().run(rows_of(adapter))
        assert furthest(results, reference.scores(TEXTS)) < TOLERANCE


def test_adapters_change_the_answer(
    references: list[Reference], adapters: list[Adapter], base: LoadedBase
) -> None:
    reference = references[0]
    without = {
        name: torch.zeros_like(value) for name, value in reference.tensors().items() if "lora_B" in name
    }
    plain = parse(reference.file(without), {base.id: base})
    assert furthest(Engine().run(rows_of(plain)), reference.scores(TEXTS)) > 0.01


def test_a_batch_mixed_over_adapters_agrees_with_each_alone(
    references: list[Reference], adapters: list[Adapter]
) -> None:
    by_adapter = [rows_of(adapter) for adapter in adapters]
    mixed = [row for rows in zip(*by_adapter, strict=True) for row in rows]
    results = Engine().run(mixed)
    for index, reference in enumerate(references):
        assert furthest(results[index :: len(adapters)], reference.scores(TEXTS)) < TOLERANCE


@pytest.mark.parametrize("poisoned", ["encoder.layer.0.attention.self.query.lora_A.weight", "head.weight"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_an_adapter_of_nan_spoils_its_own_rows_only(
    base: LoadedBase, references: list[Reference], adapters: list[Adapter], poisoned: str, value: float
) -> None:
    tensors = {poisoned: torch.full_like(references[0].tensors()[poisoned], value)}
    broken = parse(references[0].file(tensors), {base.id: base})
    healthy = rows_of(adapters[1])
    mixed = [row for pair in zip(rows_of(broken), healthy, strict=True) for row in pair]
    results = Engine().run(mixed)
    assert results[0::2] == [None] * len(TEXTS)
    assert furthest(results[1::2], references[1].scores(TEXTS)) < TOLERANCE


def test_several_labels_each_have_a_probability_of_their_own(base: LoadedBase) -> None:
    reference = Reference(["a", "b", "c"], seed=6, task=Task.MULTI_LABEL)
    adapter = parse(reference.file(), {base.id: base})
    assert furthest(Engine().run(rows_of(adapter)), reference.scores(TEXTS)) < TOLERANCE


def test_a_base_alone_gives_embeddings_of_length_one(base: LoadedBase, references: list[Reference]) -> None:
    plain = Reference(["a"], method="none")
    expected = torch.nn.functional.normalize(plain.pooled(TEXTS))
    results = Engine().run([Row(cut(ids, base.max_length), base) for ids in base.tokenise(TEXTS)])
    assert furthest(results, expected) < TOLERANCE


@pytest.fixture(scope="module")
def tagger() -> Reference:
    return Reference(["O", "B-PER", "I-PER"], seed=8, task=Task.TAGGING, targets=ALL_TARGETS)


def tagging_rows(adapter: Adapter) -> list[Row]:
    tokens = [each.cut(256) for each in adapter.base.tokenise_words(TEXTS, 256)]
    return [Row(each.ids, adapter, [word.position for word in each.words]) for each in tokens]


def test_tags_of_words_are_those_at_their_first_tokens(base: LoadedBase, tagger: Reference) -> None:
    adapter = parse(tagger.file(), {base.id: base})
    results = Engine().run(tagging_rows(adapter))
    for text, result in zip(TEXTS, results, strict=True):
        assert result is not None
        assert float((result - tagger.tags(text)).abs().max()) < TOLERANCE


def test_tasks_share_a_batch(
    base: LoadedBase, references: list[Reference], adapters: list[Adapter], tagger: Reference
) -> None:
    tags = tagging_rows(parse(tagger.file(), {base.id: base}))
    scores = rows_of(adapters[1])
    embeddings = [Row(row.ids, base) for row in scores]
    mixed = [row for rows in zip(tags, scores, embeddings, strict=True) for row in rows]
    results = Engine().run(mixed)
    assert furthest(results[1::3], references[1].scores(TEXTS)) < TOLERANCE
    for rows, got in ((tags, results[0::3]), (embeddings, results[2::3])):
        for alone, together in zip(Engine().run(rows), got, strict=True):
            assert alone is not None
            assert together is not None
            assert float((alone - together).abs().max()) < TOLERANCE


def test_a_text_without_words_has_no_tags(base: LoadedBase, tagger: Reference) -> None:
    [tokens] = base.tokenise_words(["\u200b"], 256)
    adapter = parse(tagger.file(), {base.id: base})
    [result] = Engine().run([Row(tokens.ids, adapter, [])])
    assert result is not None
    assert result.shape == (0, 3)


def test_neighbours_of_nan_get_the_same_bits_as_neighbours_of_numbers(
    base: LoadedBase, references: list[Reference], adapters: list[Adapter]
) -> None:
    nan = {name: torch.full_like(tensor, math.nan) for name, tensor in references[0].tensors().items()}
    broken = parse(references[0].file(nan), {base.id: base})

    def beside(other: Adapter) -> list[torch.Tensor | None]:
        neighbours = [row for adapter in adapters[1:4] for row in rows_of(adapter)]
        return Engine().run([*rows_of(other), *neighbours])[len(TEXTS) :]

    for with_nan, with_numbers in zip(beside(broken), beside(adapters[0]), strict=True):
        assert with_nan is not None
        assert with_numbers is not None
        assert torch.equal(with_nan, with_numbers)


def test_a_single_row_of_the_longest_text_runs(references: list[Reference], adapters: list[Adapter]) -> None:
    text = "word " * 5000
    results = Engine().run(rows_of(adapters[0], [text]))
    assert furthest(results, references[0].scores([text])) < TOLERANCE
