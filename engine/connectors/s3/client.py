"""The one place that makes S3 clients, and what their failures mean."""

from __future__ import annotations

import contextlib
import functools
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, TypeAlias
from urllib.parse import urlsplit

from botocore import loaders
from botocore.config import Config
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectionError,
    ConnectTimeoutError,
    EndpointConnectionError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    ProxyConnectionError,
    ReadTimeoutError,
    SSLError,
)
from botocore.session import Session

from engine.config import Connection, S3Spec, TlsMode
from engine.errors import Code, EngineError

S3Client: TypeAlias = Any  # botocore makes the class at run time

CONNECT_SECONDS = 10
READ_SECONDS = 60
ATTEMPTS = 5  # of botocore at one request: lost connections, 500, 503, throttling
CONNECTIONS = 64  # kept open by one client, for all its threads


def spec_of(connection: Connection) -> S3Spec:
    """The coordinates; callers have checked the type."""
    assert connection.spec.s3 is not None
    return connection.spec.s3


def endpoint_of(connection: Connection) -> str | None:
    """The endpoint with its scheme, or None for AWS's own."""
    spec = spec_of(connection)
    if not spec.endpoint:
        return None
    if "://" in spec.endpoint:
        return spec.endpoint.rstrip("/")
    plain = not spec.use_ssl or connection.ssl.mode is TlsMode.DISABLE
    return f"{'http' if plain else 'https'}://{spec.endpoint.rstrip('/')}"


def addressing(connection: Connection) -> Literal["auto", "path", "virtual"]:
    """`auto` is virtual on AWS and path elsewhere: every other server understands that one, and few have the
    names of their buckets in the DNS."""
    style = spec_of(connection).url_style
    endpoint = endpoint_of(connection)
    if style != "auto" or endpoint is None:
        return style
    host = urlsplit(endpoint).hostname or ""
    return "auto" if host.endswith(".amazonaws.com") else "path"


@contextlib.contextmanager
def open_client(connection: Connection, *, attempts: int = ATTEMPTS) -> Iterator[S3Client]:
    """A client that is closed at the end. Nothing is asked of the server yet. Thread-safe."""
    with contextlib.ExitStack() as stack:
        client, folder = make_client(connection, attempts=attempts)
        if folder is not None:
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
        stack.callback(client.close)
        yield client


def make_client(connection: Connection, *, attempts: int = ATTEMPTS) -> tuple[S3Client, Path | None]:
    """A client, and the private folder of its certificates (botocore takes them as files), which whoever
    closes the client removes. VALIDATION_FAILED for an endpoint that is no URL."""
    spec = spec_of(connection)
    endpoint = endpoint_of(connection)
    _check_endpoint(endpoint)
    folder, verify, pair = _tls(connection)
    ours = endpoint is not None and ".amazonaws.com" not in endpoint
    config = Config(
        region_name=spec.region,
        connect_timeout=CONNECT_SECONDS,
        read_timeout=READ_SECONDS,
        retries={"mode": "standard", "total_max_attempts": attempts},
        max_pool_connections=CONNECTIONS,
        s3={"addressing_style": addressing(connection)},
        client_cert=pair,
        # Other servers do not all know the checksums that AWS's newer clients send by themselves.
        request_checksum_calculation="when_required" if ours else "when_supported",
        response_checksum_validation="when_required" if ours else "when_supported",
    )
    token = spec.credentials.session_token
    # A session of its own: the default one is shared, and no thread may change it while another uses it.
    session = Session()
    session.register_component("data_loader", _definitions())
    plain = endpoint is None and (not spec.use_ssl or connection.ssl.mode is TlsMode.DISABLE)
    try:
        client = session.create_client(
            "s3",
            region_name=spec.region,
            endpoint_url=endpoint,
            use_ssl=not plain,
            verify=verify,
            config=config,
            aws_access_key_id=spec.credentials.access_key,
            aws_secret_access_key=spec.credentials.secret_key.get_secret_value(),
            aws_session_token=token.get_secret_value() if token else None,
        )
    except (BotoCoreError, ValueError) as error:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)
        raise EngineError(
            Code.VALIDATION_FAILED, f"the S3 coordinates are not usable: {error}", field="spec.s3"
        ) from None
    return client, folder


@functools.cache
def _definitions() -> loaders.Loader:
    """What botocore knows of S3, read once: it takes longer than all else about a client."""
    return loaders.create_loader()


def _check_endpoint(endpoint: str | None) -> None:
    if endpoint is None:
        return
    parts = urlsplit(endpoint)
    with contextlib.suppress(ValueError):
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
        if usable and not (parts.username or parts.query or parts.fragment):
            return
    raise EngineError(
        Code.VALIDATION_FAILED,
        "spec.s3.endpoint must be host[:port] or http(s)://host[:port], without credentials",
        field="spec.s3.endpoint",
    )


def _tls(connection: Connection) -> tuple[Path | None, bool | str | None, str | tuple[str, str] | None]:
    """Folder, whom to trust, and the client's pair. Without a CA the system's are trusted; `require` encrypts
    and checks no certificate, as it does for databases."""
    tls = connection.ssl
    verify: bool | str | None = False if tls.mode is TlsMode.REQUIRE and not tls.ca else None
    if not (tls.ca or tls.client_cert):
        return None, verify, None
    folder = Path(tempfile.mkdtemp(prefix="dbstreams-s3-"))  # 0700
    key = tls.client_key.get_secret_value() if tls.client_key else None
    for name, pem in (("ca.pem", tls.ca), ("client.pem", tls.client_cert), ("client.key", key)):
        if pem is not None:
            descriptor = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w") as file:
                file.write(pem)
    if tls.ca:
        verify = str(folder / "ca.pem")
    pair = (str(folder / "client.pem"), str(folder / "client.key")) if tls.client_cert else None
    return folder, verify, pair


# ---------------------------------------------------------------- failures

_REASONS = {
    "InvalidAccessKeyId": "auth",
    "SignatureDoesNotMatch": "auth",
    "AccessDenied": "denied",
    "AllAccessDisabled": "denied",
    "AccountProblem": "denied",
    "ExpiredToken": "expired_token",
    "ExpiredTokenException": "expired_token",
    "InvalidToken": "expired_token",
    "TokenRefreshRequired": "expired_token",
    "RequestTimeTooSkewed": "clock",
    "RequestExpired": "clock",
    "AuthorizationHeaderMalformed": "region",
    "PermanentRedirect": "region",
    "IllegalLocationConstraintException": "region",
    "NoSuchBucket": "unknown_bucket",
    "InvalidBucketName": "unknown_bucket",
    "KMS.NotFoundException": "kms",
    "KMS.DisabledException": "kms",
    "KMSInvalidStateException": "kms",
}
_STATUS_REASONS = {301: "region", 307: "region", 401: "auth", 403: "denied", 404: "unknown_bucket"}
ADVICE = {
    "auth": "the server refused these credentials: check accessKey and secretKey",
    "denied": "these credentials may not do that",
    "expired_token": "the session token has expired or is not valid: renew the connection's credentials",
    "clock": "the clocks of this machine and the server differ too much",
    "region": "the bucket is in another region: check spec.s3.region",
    "unknown_bucket": "there is no such bucket",
    "kms": "the KMS key cannot be used",
    "dns": "the endpoint's name does not resolve: check spec.s3.endpoint and region",
    "refused": "nothing listens there: check spec.s3.endpoint",
    "tls": "the TLS handshake failed: check useSSL, ssl.mode and the certificates",
    "timeout": "no answer in time: check the endpoint and the firewall",
    "other": "the server could not be used",
}
# What an operation does, and the right AWS calls it by.
_RIGHTS = {
    "ListBuckets": ("list the buckets", "s3:ListAllMyBuckets"),
    "HeadBucket": ("list the bucket", "s3:ListBucket"),
    "ListObjectsV2": ("list the bucket", "s3:ListBucket"),
    "HeadObject": ("read objects", "s3:GetObject"),
    "GetObject": ("read objects", "s3:GetObject"),
    "PutObject": ("write objects", "s3:PutObject"),
    "CreateMultipartUpload": ("write objects", "s3:PutObject"),
    "UploadPart": ("write objects", "s3:PutObject"),
    "CompleteMultipartUpload": ("write objects", "s3:PutObject"),
    "AbortMultipartUpload": ("abort uploads", "s3:AbortMultipartUpload"),
    "ListMultipartUploads": ("list unfinished uploads", "s3:ListBucketMultipartUploads"),
    "DeleteObject": ("delete objects", "s3:DeleteObject"),
}
_LOST_CODES = frozenset(
    {
        "InternalError",
        "ServiceUnavailable",
        "SlowDown",
        "RequestTimeout",
        "Throttling",
        "ThrottlingException",
        "TooManyRequests",
        "BadDigest",
        "IncompleteBody",
        "NoSuchUpload",
        "OperationAborted",
    }
)


def reason_of(error: BotoCoreError | ClientError) -> str:
    """Why, as one of ADVICE's keys."""
    if isinstance(error, ClientError):
        code, status = code_of(error), status_of(error)
        return _REASONS.get(code) or _STATUS_REASONS.get(status, "other")
    if isinstance(error, SSLError):
        return "tls"
    if isinstance(error, ConnectTimeoutError | ReadTimeoutError):
        return "timeout"
    if isinstance(error, EndpointConnectionError | ProxyConnectionError | ConnectionError):
        text = f"{error} {error.kwargs.get('error', '')}".lower()  # the message hides the cause
        unresolved = ("name or service not known", "name resolution", "nodename", "resolve", "gaierror")
        if any(sign in text for sign in unresolved):
            return "dns"
        return "refused" if isinstance(error, EndpointConnectionError) else "other"
    return "other"


def right_of(error: BotoCoreError | ClientError) -> str | None:
    """The right that was missing, by AWS's name; None when something else failed."""
    if isinstance(error, ClientError) and reason_of(error) == "denied":
        return _RIGHTS.get(error.operation_name, ("", None))[1]
    return None


def advice_of(error: BotoCoreError | ClientError) -> str:
    """What to do, for people; of a refusal also what was refused."""
    reason = reason_of(error)
    if reason == "denied" and isinstance(error, ClientError) and error.operation_name in _RIGHTS:
        doing, right = _RIGHTS[error.operation_name]
        return f"these credentials may not {doing}: they lack {right}"
    return ADVICE[reason]


def code_of(error: ClientError) -> str:
    return str(error.response.get("Error", {}).get("Code", ""))


def status_of(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def explain(error: BotoCoreError | ClientError) -> EngineError:
    """A failure while a stream runs. CONNECTION_LOST is what another attempt may get through; what the user
    must mend is not."""
    reason = reason_of(error)
    if isinstance(error, ClientError):
        code, status = code_of(error), status_of(error)
        said = str(error.response.get("Error", {}).get("Message") or code or status)
        details: dict[str, Any] = {"reason": reason, "serverCode": code, "status": status}
        details["serverMessage"] = said
        if code in _LOST_CODES or status >= 500 or status == 429:
            return EngineError(Code.CONNECTION_LOST, f"S3 does not answer as it should: {said}", **details)
        if code in ("QuotaExceeded", "EntityTooLarge", "XMinioStorageFull", "InsufficientStorage"):
            return EngineError(Code.TARGET_FULL, f"the bucket takes no more: {said}", **details)
        if reason == "other":
            return EngineError(Code.QUERY_FAILED, f"S3 refused a request: {said}", **details)
        right = right_of(error)
        if right is not None:
            details["right"] = right
        return EngineError(Code.PERMISSION_DENIED, f"S3: {advice_of(error)} ({said})", **details)
    lost = isinstance(error, HTTPClientError) and reason != "tls"
    cut = isinstance(error, IncompleteReadError | FlexibleChecksumError)
    return EngineError(
        Code.CONNECTION_LOST if lost or cut else Code.CONNECTION_FAILED,
        f"S3: {'an answer was cut short' if cut else ADVICE[reason]} ({_short(error)})",
        reason=reason,
    )


def lost(said: str) -> EngineError:
    """A connection that broke below botocore."""
    return EngineError(Code.CONNECTION_LOST, f"S3: the connection broke ({said[:300]})", reason="other")


def explain_connection(error: BotoCoreError | ClientError, connection: Connection) -> EngineError:
    """A failure to reach or use the server at all: CONNECTION_FAILED with the reason told apart."""
    spec = spec_of(connection)
    reason = reason_of(error)
    where = endpoint_of(connection) or f"AWS S3 in {spec.region}"
    said = str(error.response.get("Error", {}).get("Message", "")) if isinstance(error, ClientError) else ""
    said = said or _short(error)
    return EngineError(
        Code.CONNECTION_FAILED,
        f"cannot use S3 at {where}: {advice_of(error)} ({said})",
        reason=reason,
        right=right_of(error),
        endpoint=where,
        bucket=spec.scope.bucket,
        serverCode=code_of(error) if isinstance(error, ClientError) else None,
    )


def _short(error: Exception) -> str:
    """What happened, without the signed URL that botocore puts into it."""
    text = str(error)
    return text.split("?", 1)[0][:300]
