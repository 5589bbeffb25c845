"""What a password's hash costs whoever guesses."""

import subprocess
import sys


def test_a_hash_costs_what_rfc_9106_asks_of_servers():
    # In a process of its own: in this one hashes are made cheap for the other tests.
    program = "from core.passwords import hash_password; print(hash_password('correct horse battery'))"
    hashed = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    ).stdout
    assert hashed.startswith("$argon2id$v=19$m=65536,t=3,p=4$")
