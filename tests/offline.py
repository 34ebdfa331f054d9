# SPDX-License-Identifier: Apache-2.0
"""``unshare -rn python -m tests.offline COMMAND...``: run a command with loopback and nothing else of a network.

A fresh network namespace has a loopback device that is down; servers in tests listen on it.
"""

from __future__ import annotations

import fcntl
import os
import socket
import struct
import sys

_SET_FLAGS = 0x8914  # SIOCSIFFLAGS of <linux/sockios.h>
_UP = 0x1  # IFF_UP of <linux/if.h>

if __name__ == "__main__":
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, _SET_FLAGS, struct.pack("16sh", b"lo", _UP))
    os.execvp(sys.argv[1], sys.argv[1:])
