"""The pool's routes by task, over HTTP: each answers its own, and says so to the others."""

from collections.abc import Iterator

import pytest
import torch

from core.catalogue import Task
from tests.inference.adapter_files import Reference
from tests.inference.pool_process import PoolProcess

pytestmark = pytest.mark.xdist_group("pool tasks")

KEY = "test-ticket-key-" + "k" * 20
TEXTS = ["Ada Lovelace wrote to Babbage from London.", "refund"]


@pytest.fixture(scope="module")
def pool() -> Iterator[PoolProcess]:
    process = PoolProcess(key=KEY)
    yield process
    process.stop()


@pytest.fixture(scope="module")
def references() -> dict[Task, Reference]:
    return {
        Task.CLASSIFICATION: Reference(["a", "b"], seed=1),
        Task.MULTI_LABEL: Reference(["a", "b", "c"], seed=2, task=Task.MULTI_LABEL),
        Task.TAGGING: Reference(["O", "B-X", "I-X"], seed=3, task=Task.TAGGING),
    }


@pytest.fixture(scope="module")
def digests(pool: PoolProcess, references: dict[Task, Reference]) -> dict[Task, str]:
    return {task: pool.put("t1", reference.file()) for task, reference in references.items()}


@pytest.mark.parametrize("task", [Task.CLASSIFICATION, Task.MULTI_LABEL])
def test_classify_gives_the_references_scores(pool, references, digests, task) -> None:
    answer = pool.ask("classify", "t1", digests[task], TEXTS).json()
    scores = [list(result["scores"].values()) for result in answer["results"]]
    assert float((torch.tensor(scores) - references[task].scores(TEXTS)).abs().max()) < 1e-5


def test_tag_gives_entities_where_the_text_has_them(pool, references, digests) -> None:
    answer = pool.ask("tag", "t1", digests[Task.TAGGING], TEXTS).json()
    likeliest = references[Task.TAGGING].tags(TEXTS[1]).max(dim=-1)
    assert answer["truncated"] == [False, False]
    assert answer["tokens"] == [len(ids) for ids in references[Task.TAGGING].tokenizer(TEXTS)["input_ids"]]
    # One word, so what the reference says of it is all that there can be.
    expected = [] if likeliest.indices.item() == 0 else [(0, 6, "X")]
    found = answer["results"][1]["entities"]
    assert [(entity["start"], entity["end"], entity["label"]) for entity in found] == expected
    assert all(abs(entity["score"] - likeliest.values.item()) < 1e-5 for entity in found)
    words = set("Ada Lovelace wrote to Babbage from London .".split())
    for entity in answer["results"][0]["entities"]:
        assert set(TEXTS[0][entity["start"] : entity["end"]].replace(".", " .").split()) <= words


def test_embed_gives_what_sentence_transformers_would(pool) -> None:
    answer = pool.ask("embed", "t1", "", TEXTS).json()
    expected = torch.nn.functional.normalize(Reference(["a"], method="none").pooled(TEXTS))
    assert float((torch.tensor(answer["embeddings"]) - expected).abs().max()) < 1e-5


def test_a_text_too_long_for_tags_is_named_or_cut(pool, digests) -> None:
    text = "many words " * 1000
    assert pool.ask("tag", "t1", digests[Task.TAGGING], [text]).json()["error"] == "text_too_long"
    answer = pool.ask("tag", "t1", digests[Task.TAGGING], [text], truncate=True).json()
    assert (answer["truncated"], answer["tokens"]) == ([True], [256])
    assert all(entity["end"] <= 256 * len("words ") for entity in answer["results"][0]["entities"])


@pytest.mark.parametrize(
    ("route", "task"),
    [
        ("classify", Task.TAGGING),
        ("classify", None),
        ("tag", Task.CLASSIFICATION),
        ("tag", Task.MULTI_LABEL),
        ("tag", None),
        ("embed", Task.CLASSIFICATION),
    ],
)
def test_a_route_for_another_task_says_so(pool, digests, route, task) -> None:
    response = pool.ask(route, "t1", digests[task] if task else "", TEXTS)
    assert (response.status_code, response.json()["error"]) == (422, "wrong_task")


def test_an_encoder_that_the_pool_lacks_is_named(pool) -> None:
    response = pool.ask("embed", "t1", "", TEXTS, base="unknown")
    assert (response.status_code, response.json()["error"]) == (422, "wrong_base")
