"""The programs on the API's reference page, run as they stand against a server."""

import json
import os
import shutil
import subprocess
import sys

import pytest

from core import api_keys
from core.catalogue import Task
from core.config import get_settings
from core.db import tenant_session
from portal import api_examples
from tests.inference.api_process import ApiProcess
from tests.inference.conftest import publish

NODE = shutil.which("node")
SECONDS = 60


@pytest.fixture
def server(shared_pool, monkeypatch):
    process = ApiProcess()
    monkeypatch.setenv("API_URL", process.url)
    get_settings.cache_clear()
    yield process
    process.kill()
    monkeypatch.undo()
    get_settings.cache_clear()


def commands(programs, folder):
    """How to run each of the programs, by its language."""
    by_language = {program.language: program.code for program in programs}
    yield ["sh", "-c", by_language["curl"].partition("\n\n#")[0].replace("curl ", "curl -sSf ", 1)]
    yield [sys.executable, "-c", by_language["Python"]]
    if NODE:
        (folder / "program.mjs").write_text(by_language["JavaScript"])
        yield [NODE, "program.mjs"]


def run(command, folder, key) -> str:
    environ = {**os.environ, "ADAPTARY_API_KEY": key}
    done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, timeout=SECONDS)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.skipif(shutil.which("curl") is None, reason="No curl is installed")
def test_the_programs_for_a_model_run_as_they_stand(server, caller, support, tmp_path):
    publish(caller.scope, "support", support)
    with tenant_session(caller.scope) as session:
        _, key = api_keys.create(session, caller.scope, "examples", may_manage=True)
        session.commit()
    (tmp_path / "training.jsonl").write_text(json.dumps({"text": "Where is it?", "label": "delivery"}))
    call = api_examples.call_example("support", Task.CLASSIFICATION)
    for command in commands(call.programs, tmp_path):
        assert "delivery" in run(command, tmp_path, key)
    for command in commands(api_examples.embedding_example().programs, tmp_path):
        assert run(command, tmp_path, key)
    # In Python it would wait for a worker.
    shell, _, *script = commands(api_examples.training_example().programs, tmp_path)
    assert json.loads(run(shell, tmp_path, key))["purpose"] == "fine-tune"
    for command in script:
        assert "validating_files" in run(command, tmp_path, key)


@pytest.mark.parametrize("task", Task)
@pytest.mark.usefixtures("services")
def test_every_python_program_can_be_read(task):
    examples = [api_examples.call_example("m", task, 'Say "no".'), api_examples.batch_example("m", task)]
    for example in [*examples, api_examples.training_example(), api_examples.embedding_example()]:
        for program in example.programs:
            if program.language == "Python":
                compile(program.code, program.name, "exec")
