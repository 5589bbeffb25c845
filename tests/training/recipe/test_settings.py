import pytest

from core.models.fine_tune_jobs import Method
from training.recipe.settings import FineTuneSettings, SettingsError


def test_settings_survive_json():
    settings = FineTuneSettings(method=Method.FULL, epochs=3, learning_rate=1e-4, rank=4)
    assert FineTuneSettings.from_json(settings.to_json()) == settings


def test_what_is_missing_has_its_default():
    assert FineTuneSettings.from_json({}) == FineTuneSettings()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("method", "magic"),
        ("epochs", 0),
        ("epochs", 101),
        ("epochs", 1.5),
        ("epochs", True),
        ("learning_rate", 0.0),
        ("learning_rate", float("nan")),
        ("learning_rate", "fast"),
        ("rank", 65),
        ("rank", None),
        ("momentum", 0.9),
    ],
)
def test_a_setting_that_cannot_be_is_named(field, value):
    with pytest.raises(SettingsError) as caught:
        FineTuneSettings.from_json({field: value})
    assert caught.value.field == field
