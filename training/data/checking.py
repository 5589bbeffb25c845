"""The check of an upload: its profile, its findings and a summary of its personal data, as one report."""

from collections.abc import Callable, Iterator
from math import ceil
from typing import Any

from core.privacy.types import Policy
from core.storage import TenantKey
from training.data.batches import in_batches
from training.data.columns import ColumnMapping
from training.data.correcting import Corrector
from training.data.personal import Protector, Summary, for_display
from training.data.profile import Profiler
from training.data.readers import Reading
from training.data.report import Report
from training.data.row_readers import read_rows
from training.data.table import Table
from training.data.tokens import TokenCounter
from training.data.uploaded import UploadedRow

SEARCHED_ROWS = 10_000
SEARCHED_CHARACTERS = 1_500_000
"""In how much text personal data is looked for at most, spread over the file. The import looks at all of it."""

_FIRST_PASS = 0.3  # progress: numbers come quickly, names do not


def check(
    table: Table,
    mapping: ColumnMapping,
    reading: Reading,
    *,
    tokens: TokenCounter,
    key: TenantKey,
    policy: Policy,
    corrector: Corrector,
    position: Callable[[], float],
    beat: Callable[[float], None],
) -> dict[str, Any]:
    """The report on `table`, read as `mapping` says. Raises DataError.

    `position` tells how far the table's file has been read, `beat` is told how far the check is (0 to 1).
    """
    profiler = Profiler(tokens, mapping.task)
    for batch in in_batches(read_rows(table, mapping)):
        profiler.add(batch)
        beat(position() * _FIRST_PASS)
    profile = profiler.finish()
    report = Report(profile, reading)

    every = max(
        ceil(profile.rows / SEARCHED_ROWS), ceil(profile.characters.sum(dtype=int) / SEARCHED_CHARACTERS), 1
    )
    protector = Protector(key, policy, corrector)
    summary = Summary(protector)
    examples: dict[int, UploadedRow] = {}

    def searched() -> Iterator[UploadedRow]:
        for row in read_rows(table, mapping):
            if row.number in wanted:
                examples[row.number] = row
            if row.number % every == 0:
                yield row

    wanted = report.rows_wanted
    for batch in in_batches(searched()):
        summary.add(protector.protect_rows(batch))
        beat(_FIRST_PASS + position() * (1 - _FIRST_PASS))
    personal_data = {**summary.to_json(profile.rows), "noted_rows": summary.noted_rows()}
    return report.to_json(examples, for_display(key, policy, corrector).texts, personal_data)
