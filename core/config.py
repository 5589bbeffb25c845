"""Settings: everything that Adaptary takes from its environment, read once and frozen."""

import base64
import binascii
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cache
from pathlib import Path

STACK_FILE = "stack.env"
MINIMUM_SECRET_LENGTH = 32


class ConfigError(Exception):
    """The environment lacks variables or holds wrong ones; the message names every one of them."""


class Environment(StrEnum):
    DEVELOPMENT = "development"
    TEST = "test"
    PRODUCTION = "production"


@dataclass(frozen=True, slots=True)
class Settings:
    """What one process needs to know. Each field is the environment variable of the same name, upper-cased.

    Secrets, and addresses that hold passwords, are left out of its `repr`.
    """

    environment: Environment
    secret_key: str = field(repr=False)
    api_key_pepper: str = field(repr=False)
    master_key: bytes = field(repr=False)
    master_key_old: bytes = field(repr=False)
    pool_ticket_key: str = field(repr=False)
    app_database_url: str = field(repr=False)
    operator_database_url: str = field(repr=False)
    redis_url: str = field(repr=False)
    metrics_token: str = field(repr=False)
    blob_url: str = field(repr=False)
    pool_url: str
    portal_url: str
    api_url: str
    state_dir: Path
    log_level: str
    seller_name: str
    seller_address: str
    seller_bank_account: str
    stripe_secret_key: str = field(repr=False)
    stripe_webhook_secret: str = field(repr=False)
    stripe_automatic_tax: bool
    trial_credit_cents: int
    smtp_url: str = field(repr=False)
    mail_from: str
    max_upload_bytes: int
    requests_per_minute: int
    tokens_per_minute: int
    trusted_proxies: int
    deletion_grace_days: int
    staff_second_factor: bool

    @property
    def is_production(self) -> bool:
        return self.environment is Environment.PRODUCTION

    @classmethod
    def from_environment(cls, environ: Mapping[str, str] = os.environ) -> "Settings":
        """Read and check the environment.

        Outside production, what `environ` lacks is filled from `$STATE_DIR/stack.env`, which `make serve`
        writes, so that a command in another shell finds the running stack.

        Raises ConfigError naming every missing or wrong variable at once.
        """
        reader = _Reader(environ)
        settings = cls(
            environment=reader.environment,
            secret_key=reader.secret("SECRET_KEY"),
            api_key_pepper=reader.secret("API_KEY_PEPPER"),
            master_key=reader.key("MASTER_KEY"),
            master_key_old=reader.optional_key("MASTER_KEY_OLD"),
            pool_ticket_key=reader.secret("POOL_TICKET_KEY"),
            app_database_url=reader.database_url("APP_DATABASE_URL"),
            operator_database_url=reader.database_url("OPERATOR_DATABASE_URL"),
            redis_url=reader.required("REDIS_URL"),
            metrics_token=reader.optional_secret("METRICS_TOKEN"),
            blob_url=reader.text("BLOB_URL", f"file://{reader.state_dir.absolute()}/blobs"),
            pool_url=reader.text("POOL_URL", "http://127.0.0.1:8002"),
            portal_url=reader.public_url("PORTAL_URL", "http://127.0.0.1:8000"),
            api_url=reader.public_url("API_URL", "http://127.0.0.1:8001"),
            state_dir=reader.state_dir,
            log_level=reader.text("LOG_LEVEL", "INFO").upper(),
            seller_name=reader.text("SELLER_NAME", "Adaptary"),
            seller_address=reader.text("SELLER_ADDRESS", ""),
            seller_bank_account=reader.text("SELLER_BANK_ACCOUNT", ""),
            stripe_secret_key=reader.prefixed("STRIPE_SECRET_KEY", "sk_", "rk_"),
            stripe_webhook_secret=reader.prefixed("STRIPE_WEBHOOK_SECRET", "whsec_"),
            stripe_automatic_tax=reader.switch("STRIPE_AUTOMATIC_TAX"),
            trial_credit_cents=reader.whole_number("TRIAL_CREDIT_CENTS", 500),
            smtp_url=reader.prefixed("SMTP_URL", "smtp://", "smtps://"),
            mail_from=reader.text("MAIL_FROM", "Adaptary <adaptary@localhost>"),
            max_upload_bytes=reader.positive_int("MAX_UPLOAD_BYTES", 1 << 30),
            requests_per_minute=reader.positive_int("REQUESTS_PER_MINUTE", 600),
            tokens_per_minute=reader.positive_int("TOKENS_PER_MINUTE", 1_000_000),
            trusted_proxies=reader.whole_number("TRUSTED_PROXIES", 0),
            deletion_grace_days=reader.whole_number("DELETION_GRACE_DAYS", 14),
            staff_second_factor=reader.switch("STAFF_SECOND_FACTOR"),
        )
        if reader.problems:
            raise ConfigError("Set these environment variables:\n" + "\n".join(reader.problems))
        return settings


class _Reader:
    """Reads variables and collects what is wrong with them instead of stopping at the first."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self.problems: list[str] = []
        self._values = dict(environ)
        self.environment = self._read_environment()
        self.state_dir = Path(self._values.get("STATE_DIR") or ".adaptary")
        if self.environment is not Environment.PRODUCTION:
            self._values = {**read_env_file(self.state_dir / STACK_FILE), **self._values}

    def _read_environment(self) -> Environment:
        value = self._values.get("ADAPTARY_ENV") or Environment.DEVELOPMENT
        try:
            return Environment(value)
        except ValueError:
            self.problems.append(f"  ADAPTARY_ENV: {value!r} is none of {', '.join(Environment)}")
            return Environment.PRODUCTION

    def text(self, name: str, default: str) -> str:
        return self._values.get(name) or default

    def required(self, name: str) -> str:
        value = self._values.get(name, "")
        if not value:
            self.problems.append(f"  {name}: missing")
        return value

    def secret(self, name: str) -> str:
        value = self.required(name)
        if value and len(value) < MINIMUM_SECRET_LENGTH:
            self.problems.append(f"  {name}: shorter than {MINIMUM_SECRET_LENGTH} characters")
        return value

    def optional_secret(self, name: str) -> str:
        """Empty where the variable is not set."""
        return self.secret(name) if self._values.get(name) else ""

    def prefixed(self, name: str, *prefixes: str) -> str:
        """A secret of another service's, by how such ones begin; empty where the variable is not set."""
        value = self._values.get(name, "")
        if value and not value.startswith(prefixes):
            self.problems.append(f"  {name}: does not begin with {' or '.join(prefixes)}")
        return value

    def switch(self, name: str) -> bool:
        """Off where the variable is not set."""
        value = self.text(name, "false")
        if value not in {"true", "false"}:
            self.problems.append(f"  {name}: {value!r} is neither true nor false")
        return value == "true"

    def key(self, name: str) -> bytes:
        value = self.required(name)
        if not value:
            return b""
        try:
            key = base64.b64decode(value, validate=True)
        except binascii.Error:
            key = b""
        if len(key) != 32:
            self.problems.append(f"  {name}: not 32 bytes in base64")
        return key

    def optional_key(self, name: str) -> bytes:
        """Empty where the variable is not set."""
        return self.key(name) if self._values.get(name) else b""

    def database_url(self, name: str) -> str:
        value = self.required(name)
        if value and not value.startswith(("postgresql://", "postgresql+psycopg://")):
            self.problems.append(f"  {name}: not a postgresql:// URL")
        return value.replace("postgresql://", "postgresql+psycopg://", 1)

    def public_url(self, name: str, default: str) -> str:
        """An address that people and their apps use. In production without TLS, cookies and keys would lie open."""
        value = self.text(name, default)
        if self.environment is Environment.PRODUCTION and not value.startswith("https://"):
            problem = "not an https:// URL" if self._values.get(name) else "missing"
            self.problems.append(f"  {name}: {problem}")
        return value.rstrip("/")

    def positive_int(self, name: str, default: int) -> int:
        return self.whole_number(name, default, at_least=1)

    def whole_number(self, name: str, default: int, at_least: int = 0) -> int:
        value = self.text(name, str(default))
        if not value.isdecimal() or int(value) < at_least:
            self.problems.append(f"  {name}: {value!r} is not a whole number from {at_least} on")
            return default
        return int(value)


def read_env_file(path: Path) -> dict[str, str]:
    """The KEY=value lines of `path`; an empty dict where there is no such file."""
    if not path.is_file():
        return {}
    lines = (line.strip() for line in path.read_text(encoding="utf-8").splitlines())
    pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
    return {key.strip(): value.strip() for key, _, value in pairs}


@cache
def get_settings() -> Settings:
    """This process's settings, read from its environment at the first call."""
    return Settings.from_environment()
