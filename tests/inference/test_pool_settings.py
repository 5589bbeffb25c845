"""The pool's settings: a few variables of its own, and every problem named at once."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from inference.pool.settings import PoolConfigError, PoolSettings
from tests.inference.pool_process import ROOT

KEY = "k" * 32


def test_a_key_is_all_it_needs() -> None:
    settings = PoolSettings.from_environment({"POOL_TICKET_KEY": KEY})
    assert (settings.host, settings.port) == ("127.0.0.1", 8002)
    assert settings.base_models == ("all-minilm-l6-v2", "smollm2-135m-instruct")
    assert settings.precision == "fp32"


def test_every_problem_is_named_at_once_and_no_secret_with_it() -> None:
    environ = {
        "POOL_TICKET_KEY": "short-secret",
        "POOL_PORT": "http",
        "POOL_BATCH_TOKENS": "0",
        "POOL_PRECISION": "int8",
    }
    with pytest.raises(PoolConfigError) as error:
        PoolSettings.from_environment(environ)
    message = str(error.value)
    assert all(name in message for name in environ)
    assert "short-secret" not in message


@pytest.mark.parametrize(
    ("variables", "message"),
    [({}, "POOL_TICKET_KEY"), ({"POOL_TICKET_KEY": KEY, "POOL_BASE_MODELS": "unknown"}, "no base model")],
)
def test_a_pool_that_cannot_start_says_why_without_a_stack_trace(
    variables: dict[str, str], message: str, tmp_path: Path
) -> None:
    environ = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **variables}
    command = [sys.executable, "-m", "inference.pool"]
    ended = subprocess.run(command, env=environ, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr


def test_the_pool_imports_no_database_and_no_flask() -> None:
    code = (
        "import sys, inference.pool.server; "
        "unwanted = {'sqlalchemy', 'flask', 'redis', 'core.db', 'core.config'} & set(sys.modules); "
        "sys.exit(', '.join(unwanted) or None)"
    )
    command = [sys.executable, "-c", code]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (0, "")
