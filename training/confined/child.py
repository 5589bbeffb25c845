"""`python -m training.confined.child SOCKET PARENT FOLDER`: the process that trains, for one run.

It holds no credentials, and gives up nearly everything before it sees any data (fences.py). SOCKET is the descriptor of
its end of a pair; at the other end is the broker of the process PARENT. FOLDER is where it may write.
"""

import sys
from pathlib import Path

from training.confined.fences import confine


def main(arguments: list[str]) -> None:
    descriptor, parent, folder = arguments
    missing = confine(int(parent), Path(folder))
    # Only now: numpy and torch start threads, and a process that has some cannot leave for a world of its own.
    from training.confined.work import work

    work(int(descriptor), missing)


if __name__ == "__main__":
    main(sys.argv[1:])
