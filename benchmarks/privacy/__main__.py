"""`python -m benchmarks.privacy [--quick] [--unseen FOLDER]`: how much personal data is found, and how fast.

Presidio alone, Presidio with spaCy's small model and both modes of Adaptary's detector, in one run. Prints tables and
writes benchmarks/privacy.json. FOLDER holds .conll files, a word and its tag a line, that trained none of them.
"""

import argparse
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from benchmarks.machine import describe
from benchmarks.privacy import requests
from benchmarks.privacy.detectors import FAST, PRESIDIO_SPACY, STRICT, Find, detectors
from benchmarks.privacy.languages import languages
from benchmarks.privacy.latency import latency
from benchmarks.privacy.measure import Measurement, measure
from benchmarks.privacy.texts import formats, measured_texts, of_length, unseen
from benchmarks.results import Row, keep, show
from training.pii_model.examples import AnnotatedText

FILE = Path(__file__).parent.with_name("privacy.json")
_TIMED, _TIMED_QUICK = 200, 60
_OURS = {"fast": FAST, "strict": STRICT}


def main(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.privacy", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="time fewer texts, and no requests")
    parser.add_argument("--unseen", type=Path, metavar="FOLDER", help="texts for the share of people found")
    options = parser.parse_args(arguments)
    print(describe(), flush=True)
    finders = detectors()
    texts, description = measured_texts()
    rows = [*_found(finders, texts, description), *_formats(finders)]
    if others := unseen(options.unseen):
        rows += _unseen(finders, others, f"{len(others)} texts of {options.unseen.name}")
    else:
        print("\nNo texts that nobody has seen: name a folder with --unseen (make bench-privacy UNSEEN=…).")
    _languages(finders)
    rows += _latency(finders, texts, _TIMED_QUICK if options.quick else _TIMED)
    if not options.quick:
        rows += requests.measure()
    show(rows)
    keep(rows, FILE)
    print(f"\n{len(rows)} rows are in {FILE.name}.")
    return 0


_SHARES: Mapping[str, Callable[[Measurement], float]] = {
    "full": lambda one: one.full_share,
    "leaked": lambda one: one.leaked_share,
    "over-redacted": lambda one: one.over_redacted_share,
    "clean-texts-touched": lambda one: one.touched_share,
}


def _found(finders: Mapping[str, Find], texts: Sequence[AnnotatedText], description: str) -> Iterator[Row]:
    measured = _measured(finders, texts)
    _table(f"On {description}", measured, _SHARES)
    spans = measured[FAST].spans
    by_kind = {f"{kind} ({spans[kind]})": _full_of(kind) for kind in sorted(spans)}
    _table("Found in full, by kind", measured, by_kind)
    for mode, ours in _OURS.items():
        for name, of in _SHARES.items():
            yield _row(
                f"privacy/{mode}/{name}", of(measured[ours]), of(measured[PRESIDIO_SPACY]), description
            )


def _formats(finders: Mapping[str, Find]) -> Iterator[Row]:
    texts = formats()
    measured = _measured(finders, texts)
    by_kind = {kind: _full_of(kind) for kind in sorted(measured[FAST].spans)}
    _table(f"On {len(texts)} made-up sentences with a valid value: found in full", measured, by_kind)
    for mode, ours in _OURS.items():
        worst = min(measured[ours].full_share_of(kind) for kind in by_kind)
        theirs = min(measured[PRESIDIO_SPACY].full_share_of(kind) for kind in by_kind)
        setting = f"the worst of {', '.join(by_kind)}; {len(texts)} made-up values"
        yield _row(f"privacy/{mode}/valid-formats", worst, theirs, setting)


def _unseen(finders: Mapping[str, Find], texts: Sequence[AnnotatedText], description: str) -> Iterator[Row]:
    measured = _measured(finders, texts)
    _table(f"On {description}: people", measured, {"full": _SHARES["full"], "leaked": _SHARES["leaked"]})
    for mode, ours in _OURS.items():
        full = _SHARES["full"]
        yield _row(
            f"privacy/{mode}/unseen-people", full(measured[ours]), full(measured[PRESIDIO_SPACY]), description
        )


def _languages(finders: Mapping[str, Find]) -> None:
    """Printed only: made-up sentences say what works, not how often."""
    for locale, texts in languages():
        measured = _measured(finders, texts)
        by_kind = {kind: _full_of(kind) for kind in sorted(measured[FAST].spans)}
        _table(f"{locale}, {len(texts)} made-up texts: found in full", measured, by_kind)


def _latency(finders: Mapping[str, Find], texts: Sequence[AnnotatedText], count: int) -> Iterator[Row]:
    print(f"\nMilliseconds for one text, p50 and p95 of {count}\n\n{_line('', list(finders))}")
    for words in (20, 200):
        samples = of_length(words, count, texts)
        took = {name: latency(find, samples) for name, find in finders.items()}
        print(
            _line(f"{words} words", [f"{one.p50:.1f} / {one.p95:.1f}" for one in took.values()]), flush=True
        )
        for mode, ours in _OURS.items():
            peer = took[PRESIDIO_SPACY].p95
            setting = f"p95 of {count} texts one by one, processor time on one core; peer: {PRESIDIO_SPACY}"
            name = f"privacy/{mode}/p95-of-{words}-words"
            yield Row(
                name, round(took[ours].p95, 2), round(peer, 2), round(peer / took[ours].p95, 2), "ms", setting
            )


def _measured(finders: Mapping[str, Find], texts: Sequence[AnnotatedText]) -> dict[str, Measurement]:
    return {name: measure(texts, find([text.text for text in texts])) for name, find in finders.items()}


def _full_of(kind: str) -> Callable[[Measurement], float]:
    return lambda one: one.full_share_of(kind)


def _row(name: str, ours: float, theirs: float, setting: str) -> Row:
    return Row(name, round(ours, 4), round(theirs, 4), None, "share", f"{setting}; peer: {PRESIDIO_SPACY}")


def _table(
    title: str, measured: Mapping[str, Measurement], lines: Mapping[str, Callable[[Measurement], float]]
) -> None:
    print(f"\n{title}\n\n{_line('', list(measured))}")
    for name, of in lines.items():
        print(_line(name, [f"{of(one):.3f}" for one in measured.values()]), flush=True)


def _line(name: str, cells: Sequence[str]) -> str:
    return "  ".join([name.ljust(24), *(cell.rjust(25) for cell in cells)])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
