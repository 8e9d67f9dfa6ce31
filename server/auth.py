"""Who is calling: the pair X-API-Key and X-Install-ID, and the subscription behind the key.

A key never leaves this module: not into a log line, an error, or a metric.
"""

from __future__ import annotations

import hmac
from typing import Any

from blacksheep import Request

from engine.errors import Code, EngineError
from server.operations import Auth, Operation
from server.parameters import header, read_pairs
from server.services import Services

CREDENTIAL_PARAMETERS = ("api_key", "install_id")


def credentials(request: Request, auth: Auth) -> tuple[str | None, str | None]:
    """(key, install id) as sent; by header first, by query parameter only where the call allows it."""
    key, install = header(request, b"x-api-key"), header(request, b"x-install-id")
    if auth is Auth.BROWSER:
        given = dict(read_pairs(request.scope["query_string"]))
        key = key or given.get("api_key")
        install = install or given.get("install_id")
    return key, install


async def authenticate(services: Services, request: Request, operation: Operation) -> Any:
    """The caller's KeyInfo, None for open calls. Raises the contract's 401s, and 402 where the call needs an
    active subscription."""
    if operation.auth is Auth.NONE:
        return None
    key, install = credentials(request, operation.auth)
    if not key:
        raise EngineError(Code.AUTHENTICATION_FAILED, "send an API key in the header X-API-Key")
    info = await services.local.run(services.engine.keys.authenticate, key)
    if install:
        if not hmac.compare_digest(install.encode(), services.engine.install_id.encode()):
            raise EngineError(Code.INSTALL_ID_MISMATCH, "X-Install-ID is not the id of this installation")
    elif operation.auth is not Auth.KEY:
        raise EngineError(
            Code.INSTALL_ID_REQUIRED,
            "send this installation's id in X-Install-ID; /system/defaults says it",
        )
    if operation.subscription:
        await services.local.run(services.engine.keys.require_subscription, info)
    return info
