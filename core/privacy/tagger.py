"""Names of people, places, organisations and the like: our own tagger, fine-tuned from all-MiniLM-L6-v2.

docs/pii-model.md says what it learned from and how much it finds. Its graph is made at installation from the base model
and the adapter in weights/ (training/pii_model), and runs without torch.
"""

import json
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
import onnxruntime

from core.catalogue import DEFAULT_BASE_MODEL, get_base_model, sha256_of
from core.privacy.reading import Reader, Word
from core.privacy.types import Finding

ADAPTER = Path(__file__).parent / "weights" / "tagger.safetensors"
FOLDER = Path(sys.prefix) / "share" / "adaptary" / "tagger"
"""Where the graph is: in the environment, beside the converted base models."""

GRAPH_FILE = "model.onnx"
FACTS_FILE = "facts.json"

THRESHOLD = 0.5
WINDOW = 160
OVERLAP = 32
_SPECIAL = 2

Probabilities = npt.NDArray[np.float32]

# What joins the halves of a name: O'Brien, Jean-Claude, Baden-Baden.
_HYPHENS = ("-", "'", "’")
_BEFORE = re.compile(r"\b[^\W\d_]\w*[-'’]$")
_BEHIND = re.compile(r"[-'’]([^\W\d_]\w*)\b")
_LONGEST_HALF = 40


class TaggerUnavailable(Exception):
    """The tagger's files are missing or are not the ones that belong together; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the graph's file was made from, and its own digest: SHA-256 each, in hex. tags: of its output, in order."""

    adapter: str
    base: str
    graph: str
    tags: tuple[str, ...]

    @classmethod
    def read(cls, folder: Path) -> Self:
        """What `folder` has. Raises TaggerUnavailable where graph, adapter or base is missing or another by now."""
        try:
            values = json.loads((folder / FACTS_FILE).read_text(encoding="utf-8"))
            facts = cls(**{**values, "tags": tuple(values["tags"])})
            adapter, graph = sha256_of(ADAPTER), sha256_of(folder / GRAPH_FILE)
        except FileNotFoundError:
            raise TaggerUnavailable(
                "The tagger of personal data is not made yet. Run `make setup`."
            ) from None
        except (ValueError, TypeError, KeyError) as error:
            raise TaggerUnavailable(f"{folder / FACTS_FILE} cannot be read. Run `make setup`.") from error
        if (facts.adapter, facts.base, facts.graph) != (
            adapter,
            get_base_model(DEFAULT_BASE_MODEL).sha256,
            graph,
        ):
            raise TaggerUnavailable(
                "The tagger of personal data was not made from this version's files. Run `make setup`."
            )
        return facts


class Tagger:
    """Finds personal data that has no format. Threads may share it; it computes on the thread that calls."""

    def __init__(self, folder: Path = FOLDER) -> None:
        """Raises TaggerUnavailable, or BaseModelUnavailable for the base model's tokenizer."""
        facts = Facts.read(folder)
        self._reader = Reader(get_base_model(DEFAULT_BASE_MODEL).folder() / "tokenizer.json")
        self._tags = _Tags(facts.tags)
        self.entities = frozenset(self._tags.kinds)
        self._session = onnxruntime.InferenceSession(
            str(folder / GRAPH_FILE), _options(), providers=["CPUExecutionProvider"]
        )

    def find(
        self, texts: Sequence[str], entities: frozenset[str], threshold: float = THRESHOLD
    ) -> list[list[Finding]]:
        """For each text its findings of `entities`, in the order of the text and apart from one another.

        A word is found where the probability that it is of any of those kinds is `threshold` or more, and is then of the
        likeliest of them; a finding's score is the mean of its words'. What is found of a text depends on no other one.
        """
        return [found for (found,) in self.find_at(texts, entities, (threshold,))]

    def find_at(
        self, texts: Sequence[str], entities: frozenset[str], thresholds: Sequence[float]
    ) -> list[list[list[Finding]]]:
        """For each text what `find` gives at each of `thresholds`, from one look at it."""
        wanted = entities & self.entities
        if not wanted:
            return [[[] for _ in thresholds] for _ in texts]
        return [self._find(text, wanted, thresholds) for text in texts]

    def probabilities(self, words: Sequence[Word]) -> Probabilities:
        """[words, tags], of the words of one text. Each is judged in a window that reaches as far around it as may be."""
        found = np.empty((len(words), len(self._tags.names)), dtype=np.float32)
        starts_and_ends = list(windows([len(word.ids) for word in words]))
        cuts = [0, *((end + start) // 2 for (_, end), (start, _) in pairwise(starts_and_ends)), len(words)]
        for (start, end), (first, last) in zip(starts_and_ends, pairwise(cuts), strict=True):
            found[first:last] = self._run(words[start:end])[first - start : last - start]
        return found

    def _run(self, words: Sequence[Word]) -> Probabilities:
        ids = [self._reader.first_id]
        shapes = [0]
        places = []
        for word in words:
            places.append(len(ids))
            ids += word.ids
            shapes += [word.shape] * len(word.ids)
        inputs = {"ids": [[*ids, self._reader.last_id]], "shapes": [[*shapes, 0]], "places": places}
        arrays = {name: np.array(values, dtype=np.int64) for name, values in inputs.items()}
        probabilities: Probabilities = self._session.run(None, arrays)[0]
        return probabilities

    def _find(self, text: str, wanted: frozenset[str], thresholds: Sequence[float]) -> list[list[Finding]]:
        words = self._reader.words(text)
        if not words:
            return [[] for _ in thresholds]
        found = self.probabilities(words)
        return [
            _joined(text, self._tags.decode(text, words, found, wanted, threshold))
            for threshold in thresholds
        ]


class _Tags:
    """The tags of the graph's output: O, and B and I of each kind."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = names
        self.kinds = sorted({name[2:] for name in names if name != "O"})
        self._begins = [names.index(f"B-{kind}") for kind in self.kinds]
        self._goes_on = [names.index(f"I-{kind}") for kind in self.kinds]

    def decode(
        self,
        text: str,
        words: Sequence[Word],
        probabilities: Probabilities,
        wanted: frozenset[str],
        threshold: float,
    ) -> Iterator[Finding]:
        """The findings in words with these probabilities, each of words of one kind that follow one another."""
        columns = [index for index, kind in enumerate(self.kinds) if kind in wanted]
        begins = probabilities[:, [self._begins[index] for index in columns]]
        goes_on = probabilities[:, [self._goes_on[index] for index in columns]]
        likeliest = (begins + goes_on).argmax(1)
        scores = (begins + goes_on).sum(1)
        first = None
        for index in range(len(words) + 1):
            is_found = index < len(words) and scores[index] >= threshold
            if first is not None:
                kind = likeliest[first]
                if is_found and likeliest[index] == kind and goes_on[index, kind] >= begins[index, kind]:
                    continue
                yield from _finding(text, words, first, index, self.kinds[columns[kind]], scores)
            first = index if is_found else None


def windows(lengths: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Words of these lengths in tokens, as windows of WINDOW tokens at most: each one's first word and last (exclusive).

    Windows are of about one size and overlap by OVERLAP tokens or a little less, so that a name at the edge of one lies
    well inside of another.
    """
    ends = np.cumsum([0, *lengths])
    total = int(ends[-1])
    count = max(1, -(-(total - OVERLAP) // (WINDOW - _SPECIAL - OVERLAP)))
    size = -(-(total + (count - 1) * OVERLAP) // count)
    # Room for a word more than the overlap: no word has a hundred tokens.
    size = max(size, OVERLAP + max(lengths))
    start = 0
    while True:
        end = int(np.searchsorted(ends, ends[start] + size, side="right")) - 1
        yield start, end
        if end == len(lengths):
            return
        start = int(np.searchsorted(ends, ends[end] - OVERLAP, side="left"))


def _finding(
    text: str, words: Sequence[Word], first: int, last: int, kind: str, scores: Probabilities
) -> Iterator[Finding]:
    """Words first to last (exclusive) as a finding, if there is a letter or a digit in them."""
    start, end = words[first].start, words[last - 1].end
    if any(map(str.isalnum, text[start:end])):
        yield Finding(start, end, kind, float(np.clip(scores[first:last].mean(), 0.0, 1.0)))


def _joined(text: str, findings: Iterable[Finding]) -> list[Finding]:
    """`findings` with double names in one piece, also where only one half was found."""
    joined: list[Finding] = []
    for finding in findings:
        last = joined[-1] if joined else None
        if last and last.entity == finding.entity and text[last.end : finding.start] in _HYPHENS:
            joined[-1] = replace(last, end=finding.end, score=min(last.score, finding.score))
        else:
            joined.append(finding)
    edges = [0, *(finding.end for finding in joined)], [*(finding.start for finding in joined[1:]), len(text)]
    return [_completed(text, *each) for each in zip(joined, *edges, strict=False)]


def _completed(text: str, finding: Finding, lowest: int, highest: int) -> Finding:
    """`finding` with the half of a double name before or behind it, as far as that lies from `lowest` to `highest`."""
    start, end = finding.start, finding.end
    before = _BEFORE.search(text, max(lowest, start - _LONGEST_HALF), start)
    if before and before[0][0].isupper():
        start = before.start()
    behind = _BEHIND.match(text, end, min(highest, end + _LONGEST_HALF))
    if behind and behind[1][0].isupper():
        end = behind.end()
    return replace(finding, start=start, end=end)


def _options() -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    # The graph is written as it is to be run; the optimiser would put slower operations together.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    # Texts have all lengths: a plan of the memory for each would only be kept.
    options.enable_mem_pattern = False
    return options
