"""What the demo keeps between runs: its people's passwords and its apps' keys."""

import json
import secrets
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

_FILE = "demo.json"


@dataclass
class Login:
    """Somebody who signs in to the portal."""

    email: str
    password: str


@dataclass
class Memory:
    """The demo's own notes, in a file in the state folder that only its owner may read."""

    path: Path
    logins: dict[str, Login]
    keys: dict[str, str]

    @classmethod
    def load(cls, state_dir: Path) -> "Memory":
        """What an earlier run noted, if there was one."""
        path = state_dir / _FILE
        noted: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
        logins = {email: Login(**login) for email, login in noted.get("logins", {}).items()}
        return cls(path, logins, noted.get("keys", {}))

    def login(self, email: str) -> Login:
        """The login of that address, with a password made up the first time."""
        return self.logins.setdefault(email, Login(email, secrets.token_urlsafe(12)))

    def save(self) -> None:
        noted = {"logins": {email: asdict(login) for email, login in self.logins.items()}, "keys": self.keys}
        self.path.touch(mode=0o600)
        self.path.write_text(json.dumps(noted, indent=2), encoding="utf-8")
