# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from audit.provenance.keys import _loopback
from tests.unit.provenance.keys.pki import Made, make


@pytest.fixture(scope="session")
def made() -> Made:
    return make()


@pytest.fixture
def listen() -> Iterator[Callable[[Callable[[bytes], _loopback.Post]], str]]:
    """Serve a function at a URL of this machine."""
    servers = []

    def start(answer: Callable[[bytes], _loopback.Post]) -> str:
        server = _loopback.serve({"/tsa": answer})
        servers.append(server)
        return f"{server.url}/tsa"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()
