"""Training the tagger, and its graph: what is learned is what is installed."""

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load

from core.catalogue import DEFAULT_BASE_MODEL, get_base_model
from core.privacy.reading import SHAPES, Reader
from core.privacy.tagger import ADAPTER, Tagger
from training import convert
from training.pii_model.data import Data
from training.pii_model.examples import AnnotatedText, Span
from training.pii_model.generate import generated
from training.pii_model.graph import tagger_graph
from training.pii_model.model import TaggerModel
from training.pii_model.tokens import TAGS, Targets, tokenize
from training.pii_model.train import train

BASE = get_base_model(DEFAULT_BASE_MODEL)
TEXTS = (
    "Hello Mr. Johnson, this is Ada Lovelace-Byron from Müller & Söhne GmbH.",
    "I live at 12 Main Street,\nSpringfield, and I'm 42 years old.",
    "hi it's jonas from leipzig, my norwegian wife zoë is at siemens",
    "ATTENTION: JAMES O'NEILL HAS LEFT BOSTON ON 12 MAY 2021",
    "How do I reset my password?",
)


@pytest.fixture(scope="module")
def reader():
    return Reader(BASE.folder() / "tokenizer.json")


def test_words_know_how_they_are_written(reader):
    words = reader.words("paul Paul PAUL McPaul 12\nPaul, paul")
    assert [word.shape for word in words] == [0, 1, 2, 3, 0, 5, 0, 0]
    assert max(word.shape for word in words) < SHAPES


def test_words_have_their_places_in_the_text(reader):
    text = "Zoë's  naïve—Łódź\n x"
    words = reader.words(text)
    assert [text[word.start : word.end] for word in words] == ["Zoë", "'", "s", "naïve", "—", "Łódź", "x"]


def test_words_are_tagged_by_the_span_that_they_begin_in(reader):
    text = AnnotatedText("Ada Lovelace of Paris", (Span(0, 12, "PERSON"), Span(16, 21, "LOCATION")))
    targets = Targets([text])
    split = tokenize(reader, [text], targets)
    names = [TAGS[target] if target < len(TAGS) else "O" for target in split.labels]
    assert names == ["B-PERSON", "I-PERSON", "O", "B-LOCATION"]


def test_where_a_kind_was_not_looked_for_it_may_be_there():
    whole = AnnotatedText("x", ())
    part = AnnotatedText("x", (), frozenset({"PERSON"}))
    targets = Targets([whole, part])
    (of_whole,), (of_part,) = targets.of(whole, [0]), targets.of(part, [0])
    allowed = {
        name: [tag for tag, is_allowed in zip(TAGS, targets.allowed[target], strict=True) if is_allowed]
        for name, target in (("whole", of_whole), ("part", of_part))
    }
    assert allowed["whole"] == ["O"]
    assert set(allowed["part"]) == set(TAGS) - {"B-PERSON", "I-PERSON"}


def test_training_gives_the_same_file_again_and_learns():
    data = Data(generated(64, seed=1), generated(8, seed=2, held_out=True), ["generated"])
    lines: list[str] = []
    files = [train(data, BASE, layers=1, batch_rows=16, seed=1, tell=lines.append) for _ in range(2)]
    assert files[0] == files[1]
    losses = [float(line.split("loss ")[1].split(",")[0]) for line in lines if "loss" in line]
    assert losses[3] < losses[0]


@pytest.fixture(scope="module")
def committed_model():
    with safe_open(ADAPTER, "pt") as file:
        metadata = file.metadata()
    assert metadata["base_digest"] == BASE.sha256
    model = TaggerModel(BASE, int(metadata["layers"]), torch.device("cpu"))
    tensors = load(ADAPTER.read_bytes())
    trained = model.trained()
    assert set(trained) == set(tensors)
    with torch.no_grad():
        for name, tensor in tensors.items():
            trained[name].copy_(tensor)
    return model


@torch.no_grad()
def by_torch(model, reader, text):
    annotated = AnnotatedText(text, ())
    split = tokenize(reader, [annotated], Targets([annotated]))
    tokens = torch.from_numpy(split.ids.astype(np.int64))[None]
    return model(tokens, torch.ones_like(tokens, dtype=torch.bool), split.places).softmax(1).numpy()


def test_the_graph_in_single_precision_is_torchs_model(reader, committed_model, tmp_path, monkeypatch):
    import training.pii_model.graph as module

    monkeypatch.setattr(
        module, "tagger_graph", lambda base, adapter: tagger_graph(base, adapter, quantised=False)
    )
    convert.make_tagger(tmp_path / "tagger")
    tagger = Tagger(tmp_path / "tagger")
    for text in TEXTS:
        expected = by_torch(committed_model, reader, text)
        np.testing.assert_allclose(tagger.probabilities(reader.words(text)), expected, atol=1e-4)


def test_the_installed_graph_finds_what_torchs_model_finds(reader, committed_model):
    tagger = Tagger()
    for text in TEXTS:
        exact, installed = by_torch(committed_model, reader, text), tagger.probabilities(reader.words(text))
        # Where the model itself is undecided, eight bits may decide otherwise.
        is_sure = np.abs(exact[:, 0] - 0.5) > 0.2
        assert ((exact[:, 0] < 0.5) == (installed[:, 0] < 0.5))[is_sure].all()
        assert np.abs(exact - installed).mean() < 0.02
