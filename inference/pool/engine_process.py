"""`python -m inference.pool.engine_process`: an engine in a process of its own, started by the pool's front process.

Reads batches from standard input and writes results to standard output until the input ends. It holds the base models
and, through shared memory, every adapter; it has no ticket's key and no connection to anything else.
"""

import argparse
import json
import os
import sys
import traceback
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

from core.lifetime import end_with_parent
from inference.pool.adapter_blocks import read
from inference.pool.adapters import Adapter
from inference.pool.arena import map_arena
from inference.pool.base import LoadedBase, load_base
from inference.pool.engine import Engine, Row
from inference.pool.precision import Precision
from inference.pool.wire import LENGTHS, frame, read_batch, results_frame

_KNOWN_ADAPTERS = 1024
_WARM_UP = [[0] * length for length in (8, 32, 64)]


class AdapterViews:
    """Adapters by the number of their block: views of the arena, made when a batch first needs one.

    They take no memory worth speaking of, so they are dropped by count; a block's number is never used again.
    """

    def __init__(self, arena: memoryview, bases: Mapping[str, LoadedBase]) -> None:
        self._arena = arena
        self._bases = bases
        self._adapters: OrderedDict[int, Adapter] = OrderedDict()

    def get(self, name: tuple[int, int]) -> Adapter:
        """The adapter that `wire.in_shared_memory` names."""
        number, offset = name
        adapter = self._adapters.get(number)
        if adapter is None:
            adapter = self._adapters[number] = read(self._arena, offset, self._bases)
            if len(self._adapters) > _KNOWN_ADAPTERS:
                self._adapters.popitem(last=False)
        self._adapters.move_to_end(number)
        return adapter


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m inference.pool.engine_process", description=__doc__)
    parser.add_argument("--arena", type=int, required=True, help="descriptor of the adapters' shared memory")
    parser.add_argument("--bases", required=True, help="ids of the base models, separated by commas")
    parser.add_argument("--precision", type=Precision, required=True, help="of the base models' products")
    parser.add_argument("--threads", type=int, required=True, help="cores for one batch")
    parser.add_argument("--parent", type=int, required=True, help="id of the front process")
    options = parser.parse_args()
    end_with_parent(options.parent)
    # What a library prints must not get between the frames.
    output = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    bases = {id_: load_base(id_, options.precision) for id_ in options.bases.split(",")}
    views = AdapterViews(map_arena(options.arena), bases)
    engine = Engine(options.threads)
    engine.enter_thread()
    for base in bases.values():
        engine.run([Row(ids, base) for ids in _WARM_UP])
    _write(output, frame({"ready": True}))
    for header, numbers in _frames(sys.stdin.buffer):
        _write(output, _answer(engine, read_batch(header, numbers, views.get, bases.__getitem__)))


def _answer(engine: Engine, rows: list[Row]) -> bytes:
    try:
        return results_frame(engine.run(rows))
    except Exception as error:
        # The traceback's last line may quote a value of the batch; where it happened says enough.
        places = "".join(traceback.format_tb(error.__traceback__))
        print(f"A batch failed: {type(error).__name__}\n{places}", file=sys.stderr, flush=True)
        return frame({"error": type(error).__name__})


def _frames(source: BinaryIO) -> Iterator[tuple[dict[str, Any], bytes]]:
    """Frames until the input ends."""
    while lengths := source.read(LENGTHS.size):
        header, numbers = LENGTHS.unpack(lengths)
        yield json.loads(source.read(header)), source.read(numbers)


def _write(output: BinaryIO, data: bytes) -> None:
    output.write(data)
    output.flush()


if __name__ == "__main__":
    main()
