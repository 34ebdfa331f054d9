# SPDX-License-Identifier: Apache-2.0
"""What ``genaudit serve`` does: who may reach the server, the socket, the log, and then the server itself."""

from __future__ import annotations

import ipaddress
import logging
import socket
import sys
import time
from collections.abc import Callable

from audit.errors import ConfigError
from audit.serving._settings import KEY, Settings, key_of, need_extra

__all__ = ["serve"]


def serve(settings: Settings, *, host: str, port: int, no_auth: bool, tell: Callable[[str], None]) -> int:
    """Serve until stopped.

    Args:
        settings: what to serve, and how.
        host: address or name to listen on.
        port: 0 takes a free one.
        no_auth: allow other machines without a key.
        tell: gets the line that says where the server listens.

    Returns:
        0 after SIGTERM, 130 after Ctrl-C.

    Raises:
        ConfigError: a setting, the address, or a missing key where other machines can reach the server.
        GeneratorError: the model cannot be loaded.
    """
    need_extra()
    from audit.serving import build_app
    from audit.serving._server import run

    # Bound first: a taken port is known before gigabytes are loaded. Connections are refused until the model is there.
    with _bound(host, port) as listener:
        address = listener.getsockname()
        beyond = not ipaddress.ip_address(address[0].partition("%")[0]).is_loopback
        if beyond:
            _warn(key_of(settings) is not None, no_auth=no_auth, host=host)
        app = build_app(settings)
        _log_to_stderr()
        name = f"[{address[0]}]" if ":" in address[0] else address[0]
        line = f"serving {app.served.name} at http://{name}:{address[1]}/v1"
        return run(app, listener, lambda: tell(line), backlog=settings.queue)


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError:
            listener.close()
            raise
    except (OSError, UnicodeError) as error:  # a name with empty or very long parts is a UnicodeError
        message = f"cannot listen: {getattr(error, 'strerror', None) or error}"
        raise ConfigError(message, where=f"{host}:{port}", hint="--port 0 takes a free port") from None
    return listener


def _warn(locked: bool, *, no_auth: bool, host: str) -> None:
    if not locked and not no_auth:
        hint = f"set {KEY} to a key that clients must send, or say --no-auth"
        raise ConfigError("other machines could use this server without a key", where=f"--host {host}", hint=hint)
    who = "everybody who reaches it can use it" if not locked else "keys and pictures travel unencrypted"
    sys.stderr.write(f"warning: {host} is open to other machines, and {who}; put a proxy with TLS before it\n")


def _log_to_stderr() -> None:
    handler = logging.StreamHandler()
    form = logging.Formatter("%(asctime)s.%(msecs)03dZ %(message)s", "%Y-%m-%dT%H:%M:%S")
    form.converter = time.gmtime
    handler.setFormatter(form)
    logger = logging.getLogger("audit.serving")
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    logger.propagate = False
