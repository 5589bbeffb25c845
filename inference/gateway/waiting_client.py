"""Who waits for the answer to the request being answered."""

import socket
import ssl

from flask import has_request_context, request


def find_waiting_client() -> socket.socket | None:
    """The connection by which the request came. None outside of a request, and where the server does not tell, as
    none but gunicorn does."""
    if not has_request_context():
        return None
    connection = request.environ.get("gunicorn.socket")
    # Of an encrypted connection's end the socket below it says nothing.
    return None if isinstance(connection, ssl.SSLSocket) else connection
