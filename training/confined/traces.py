"""Where in the code an error happened, from the process that trains: file names and line numbers, and no words."""

import sys
import traceback
from pathlib import Path
from types import TracebackType

from training.confined.fences import ROOT

_MOST_FRAMES = 60
_MOST_LINES = 1_000_000


def frames_of(trace: TracebackType | None) -> list[tuple[str, int]]:
    """File and line of each call, the outermost first."""
    return [(frame.filename, frame.lineno or 0) for frame in traceback.extract_tb(trace)[-_MOST_FRAMES:]]


def known_frames(trace: object) -> list[str]:
    """Those of the frames that name a file of ours or of an installed package: whatever else they say is left out."""
    if not isinstance(trace, list):
        return []
    return [
        f"{filename}:{line}"
        for filename, line in (frame for frame in trace[:_MOST_FRAMES] if _is_frame(frame))
        if _is_code(filename)
    ]


def _is_frame(frame: object) -> bool:
    match frame:
        case [str(), int(line)]:
            return 0 <= line < _MOST_LINES
    return False


def _is_code(filename: str) -> bool:
    try:
        path = Path(filename)
        roots = (ROOT / "core", ROOT / "training", Path(sys.prefix), Path(sys.base_prefix))
        return ".." not in path.parts and any(map(path.is_relative_to, roots)) and path.is_file()
    except (OSError, ValueError):
        return False
