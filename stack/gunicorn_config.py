"""gunicorn's settings for web and api: `gunicorn -c python:stack.gunicorn_config --bind ADDRESS wsgi:portal`.

Why these: docs/adr/0003-wsgi-server.md.
"""

from pathlib import Path

worker_class = "gthread"
workers = 2
threads = 64  # a request that streams its answer holds one

# Requests in flight get this long to end at a stop or reload.
graceful_timeout = 10
# For a worker whose main thread hangs; its request threads may take as long as they need.
timeout = 60
keepalive = 5

# A disk that is slow to sync must not make a worker look hung.
_MEMORY = Path("/dev/shm")  # noqa: S108 - gunicorn makes its own unguessable files in it
worker_tmp_dir = str(_MEMORY) if _MEMORY.is_dir() else None

# The apps write a line for each request that needs one; gunicorn adds what goes wrong with its workers.
loglevel = "warning"
logger_class = "stack.gunicorn_logger.QuietLogger"
errorlog = "-"
accesslog = None

# The supervisor manages the processes; a socket in the user's home would be shared by web and api.
control_socket_disable = True
