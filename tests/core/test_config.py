"""Settings: read once, complete or refused."""

import base64

import pytest

from core.config import ConfigError, Environment, Settings, read_env_file

COMPLETE = {
    "ADAPTARY_ENV": "production",
    "SECRET_KEY": "s" * 32,
    "API_KEY_PEPPER": "p" * 32,
    "MASTER_KEY": base64.b64encode(b"k" * 32).decode(),
    "POOL_TICKET_KEY": "t" * 32,
    "APP_DATABASE_URL": "postgresql://adaptary_app:x@db/adaptary",
    "OPERATOR_DATABASE_URL": "postgresql://adaptary_operator:x@db/adaptary",
    "REDIS_URL": "redis://redis/0",
    "PORTAL_URL": "https://portal.example",
    "API_URL": "https://api.example",
}


def test_a_complete_environment_is_read():
    settings = Settings.from_environment(COMPLETE)
    assert settings.is_production
    assert settings.master_key == b"k" * 32
    assert settings.app_database_url.startswith("postgresql+psycopg://")


def test_production_names_every_missing_variable_at_once():
    with pytest.raises(ConfigError) as error:
        Settings.from_environment({"ADAPTARY_ENV": "production"})
    for name in COMPLETE.keys() - {"ADAPTARY_ENV"}:
        assert name in str(error.value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("SECRET_KEY", "hunter2"),
        ("MASTER_KEY", "not base64!"),
        ("MASTER_KEY", base64.b64encode(b"short").decode()),
        ("APP_DATABASE_URL", "mysql://x"),
        ("MAX_UPLOAD_BYTES", "a lot"),
        ("ADAPTARY_ENV", "prod"),
        ("PORTAL_URL", "http://portal.example"),
        ("API_URL", "api.example"),
        ("STRIPE_SECRET_KEY", "pk_test_published"),
        ("STRIPE_WEBHOOK_SECRET", "sk_test_another"),
        ("STRIPE_AUTOMATIC_TAX", "yes"),
    ],
)
def test_a_wrong_value_is_named_but_a_secret_not_shown(name, value):
    with pytest.raises(ConfigError) as error:
        Settings.from_environment({**COMPLETE, name: value})
    assert name in str(error.value)
    if name in ("SECRET_KEY", "MASTER_KEY", "STRIPE_SECRET_KEY", "STRIPE_WEBHOOK_SECRET"):
        assert value not in str(error.value)


def test_production_ignores_the_stack_file(tmp_path):
    (tmp_path / "stack.env").write_text("SECRET_KEY=" + "x" * 40 + "\n")
    environment = {**COMPLETE, "STATE_DIR": str(tmp_path)}
    del environment["SECRET_KEY"]
    with pytest.raises(ConfigError):
        Settings.from_environment(environment)
    development = Settings.from_environment({**environment, "ADAPTARY_ENV": "development"})
    assert development.environment is Environment.DEVELOPMENT
    assert development.secret_key == "x" * 40


def test_the_environment_wins_over_the_stack_file(tmp_path):
    (tmp_path / "stack.env").write_text("# comment\n\nREDIS_URL=redis://file/0\n")
    settings = Settings.from_environment({**COMPLETE, "ADAPTARY_ENV": "test", "STATE_DIR": str(tmp_path)})
    assert settings.redis_url == "redis://redis/0"
    assert read_env_file(tmp_path / "stack.env") == {"REDIS_URL": "redis://file/0"}


def test_what_is_printed_of_the_settings_holds_no_secret():
    shown = repr(Settings.from_environment({**COMPLETE, "REDIS_URL": "redis://:hunter2@redis/0"}))
    for secret in (
        "s" * 32,
        "p" * 32,
        "k" * 32,
        "t" * 32,
        "adaptary_app:x",
        "adaptary_operator:x",
        "hunter2",
    ):
        assert secret not in shown
    assert "production" in shown
