"""A server that cannot be reached: CONNECTION_FAILED with a reason, and what to do about it. Which reason it
is, the connector tells from what its driver raises."""

from __future__ import annotations

from typing import Any

from engine.config import Connection
from engine.errors import Code, EngineError

_ADVICE = {
    "dns": "the host name does not resolve: check it",
    "refused": "nothing listens there: check host and port, and that the server accepts TCP",
    "tls": "the TLS handshake failed: check ssl.mode and the certificates",
    "timeout": "no answer in time: check host, port and firewall",
    "auth": "the server refused these credentials",
    "unknown_database": "that database does not exist on the server",
    "protocol": "what answered does not speak the protocol of {system}: check the port",
    "too_many_connections": "the server has no connection slot left",
    "starting_up": "the server is starting up or shutting down: try again shortly",
    "other": "the server could not be reached",
}


def unreachable(
    connection: Connection, system: str, reason: str, message: str, **details: Any
) -> EngineError:
    """`message`: the server's or the driver's words; the password is taken out of them. `details`: its number
    or state."""
    spec = connection.database
    secret = spec.password.get_secret_value()
    said = message.replace(secret, "********") if len(secret) >= 3 else message
    advice = _ADVICE[reason].format(system=system)
    return EngineError(
        Code.CONNECTION_FAILED,
        f"cannot connect to {system} at {spec.host}:{spec.port}: {advice} ({said})",
        reason=reason,
        host=spec.host,
        port=spec.port,
        **details,
        serverMessage=said,
    )
