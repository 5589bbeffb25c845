"""`python -m inference.pool.chat DESCRIPTOR`: the chat engine's process, started by the pool at the other end."""

import os
import signal
import sys
from multiprocessing.connection import Connection

# The engine's thread is kept busy; tokenizing over every core besides would only take its time away.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import torch

from core.catalogue import BaseModelUnavailable
from core.lifetime import end_with_parent
from inference.pool.chat.base import load_chat_base
from inference.pool.chat.channel import Channel
from inference.pool.chat.engine import ChatEngine, ChatLimits
from inference.pool.chat.worker import Worker
from inference.pool.encoder_weights import UnsupportedModel
from inference.pool.log import configure_logging
from inference.pool.precision import Precision

_SWITCH_SECONDS = 0.001


def main(descriptor: int) -> None:
    """Load the base that the first message names, and answer until the pool is gone."""
    # Ctrl-C reaches every process of the terminal; this one ends when the pool has.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    channel = Channel(Connection(descriptor))
    start, _ = channel.receive()
    end_with_parent(start["parent"])
    configure_logging(start["log_level"], process="pool-chat")
    torch.set_num_threads(start["threads"])
    # Numbers close to nothing are computed a hundred times slower: an adapter full of them would slow all rows.
    torch.set_flush_denormal(True)
    # The engine's thread asks for the GIL between products, and must not wait long for the one that reads.
    sys.setswitchinterval(_SWITCH_SECONDS)
    try:
        base = load_chat_base(start["base"], Precision(start["precision"]))
    except (BaseModelUnavailable, UnsupportedModel) as error:
        sys.exit(str(error))
    engine = ChatEngine(base, ChatLimits(**start["limits"]))
    Worker(channel, engine, start["adapter_bytes"]).run()


if __name__ == "__main__":
    main(int(sys.argv[1]))
