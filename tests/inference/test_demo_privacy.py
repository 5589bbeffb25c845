"""What the demo tells of personal data, against a real API and a real model."""

import pytest

from stack.demo.privacy import MESSAGE, follow_personal_data
from tests.inference.api_process import ApiProcess
from tests.inference.conftest import Caller

VALUES = ("Jonas Weber", "+44 7700 900123", "4012 8888 8888 1881")


def test_the_pool_sees_no_value_and_the_answer_has_them_again(
    api_server: ApiProcess, caller: Caller, capsys: pytest.CaptureFixture[str]
) -> None:
    follow_personal_data(api_server.url, caller.key)
    told = dict(
        line.strip().split(":  ", 1) for line in capsys.readouterr().out.splitlines() if ":  " in line
    )
    assert MESSAGE in told["goes in"]
    assert not [value for value in VALUES if value in told["the pool saw"]]
    assert [value for value in VALUES if value not in told["the answer"]] == []
