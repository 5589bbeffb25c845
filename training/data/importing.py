"""From the raw upload to the stored rows: pseudonymised, without empty and repeated ones, split."""

import json
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from core.privacy.pseudonymise import generalise
from core.storage import Blob, BlobStore, TenantKey
from training.data.batches import in_batches
from training.data.columns import ColumnMapping
from training.data.errors import DataError
from training.data.label_sets import LabelSets
from training.data.normalise import digest64, text_key
from training.data.personal import Protector, Summary
from training.data.profile import first_of_equal
from training.data.row_readers import read_rows
from training.data.rows import encode
from training.data.splits import LEFT_OUT, NO_SPLIT, SPLITS, Codes, joined_keys, split_rows
from training.data.table import Table
from training.data.uploaded import Gap, UploadedRow

_SECOND_PASS = 0.95  # the progress at which the first, much longer one is done


@dataclass(frozen=True, slots=True)
class Imported:
    """What was stored, and what was left out on the way."""

    blob: Blob
    rows: int
    labels: list[str]
    split_counts: dict[str, int]
    empty: int
    duplicates: int
    leaks: int
    personal_data: dict[str, Any]


class Importer:
    """Writes the rows of a table to a blob, by way of a draft that lacks only their split.

    Which split a row is in depends on all the others, and finding personal data takes far too long to be done
    twice; the draft is encrypted like every blob, and deleted at the end.
    """

    def __init__(
        self, store: BlobStore, key: TenantKey, protector: Protector, beat: Callable[[float], None]
    ) -> None:
        self._store = store
        self._key = key
        self._protector = protector
        self._beat = beat
        self._summary = Summary(protector)
        self._texts = array("Q")
        self._original_keys = array("Q")
        self._model_keys = array("Q")
        self._answers = array("Q")
        self._labels = array("I")
        self._splits = array("b")
        self._label_sets = LabelSets()
        self._empty = 0
        self._kept = 0

    def run(
        self, table: Table, mapping: ColumnMapping, position: Callable[[], float], *, draft: str, final: str
    ) -> Imported:
        """Import `table`, read as `mapping` says; `position` tells how far its file has been read (0 to 1).

        draft, final: names for the blobs. Raises DataError.
        """
        self._write_draft(table, mapping, position, draft)
        if not self._texts:
            raise DataError("No row is complete. Check that you chose the right columns.")
        codes = self._split()
        try:
            blob = self._write_final(draft, final, codes)
        finally:
            self._store.delete(self._key, draft)
        labels = np.frombuffer(self._labels, dtype=np.uint32)
        counts = self._label_sets.count(labels[codes != LEFT_OUT])
        return Imported(
            blob=blob,
            rows=int((codes != LEFT_OUT).sum()),
            labels=sorted(name for name, count in zip(self._label_sets.names, counts, strict=True) if count),
            split_counts={split.value: int((codes == code).sum()) for code, split in enumerate(SPLITS)},
            empty=self._empty,
            duplicates=len(codes) - self._kept,
            leaks=self._kept - int((codes != LEFT_OUT).sum()),
            personal_data=self._summary.to_json(len(self._texts)),
        )

    def _write_draft(
        self, table: Table, mapping: ColumnMapping, position: Callable[[], float], name: str
    ) -> None:
        with self._store.open_writer(self._key, name) as writer:
            for batch in in_batches(read_rows(table, mapping)):
                complete = [row for row in batch if row.gap is Gap.NONE]
                self._empty += len(batch) - len(complete)
                protected = self._protector.protect_rows(complete)
                self._summary.add(protected)
                for row, kept in zip(complete, protected, strict=True):
                    self._note(row, kept.row)
                    writer.write(encode({**kept.row.values(), "row": row.number}))
                self._beat(position() * _SECOND_PASS)
            writer.commit()

    def _note(self, row: UploadedRow, kept: UploadedRow) -> None:
        self._texts.append(digest64(kept.question))
        # Pseudonyms of one kind are all the same to the model, so texts that differ in them only are, too. And of
        # two spellings of one text a name may have been found in one only: what was the same stays the same.
        self._original_keys.append(text_key(row.text))
        self._model_keys.append(text_key(generalise(kept.text)))
        self._answers.append(digest64(kept.answer))
        self._labels.append(self._label_sets.add(row.mentions, row.number))
        self._splits.append(NO_SPLIT if row.split is None else SPLITS.index(row.split))

    def _split(self) -> Codes:
        """The split of every row of the draft; LEFT_OUT for repeated rows and leaks."""
        keys = joined_keys(
            np.frombuffer(self._original_keys, dtype=np.uint64),
            np.frombuffer(self._model_keys, dtype=np.uint64),
        )
        labels = np.frombuffer(self._labels, dtype=np.uint32)
        own = np.frombuffer(self._splits, dtype=np.int8)
        answers = np.frombuffer(self._answers, dtype=np.uint64)
        kept = first_of_equal(np.frombuffer(self._texts, dtype=np.uint64), answers, own)
        self._kept = len(kept)
        codes = np.full(len(keys), LEFT_OUT, dtype=np.int8)
        has_own = bool((own != NO_SPLIT).any())
        strata, names = self._label_sets.strata(labels[kept])
        codes[kept] = split_rows(keys[kept], strata, names, own[kept] if has_own else None)
        return codes

    def _write_final(self, draft: str, final: str, codes: Codes) -> Blob:
        with self._store.open(self._key, draft) as lines, self._store.open_writer(self._key, final) as writer:
            for index, (line, code) in enumerate(zip(lines, codes, strict=True)):
                if code != LEFT_OUT:
                    values = json.loads(line)
                    number = values.pop("row")
                    writer.write(encode({**values, "split": SPLITS[code].value, "row": number}))
                if index % 1000 == 0:
                    self._beat(_SECOND_PASS + (1 - _SECOND_PASS) * index / len(codes))
            return writer.commit()
