# SPDX-License-Identifier: Apache-2.0
"""The service manager's end of sd_notify(3)."""

import os
import socket
import time


class Notified:
    """A socket that a daemon reports to. Any user may write to it, as to systemd's."""

    def __init__(self, path):
        self.path = path
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(path)
        os.chmod(path, 0o777)

    def wait_for(self, word, seconds):
        """True once a datagram has the word as one of its lines; those before it are forgotten."""
        end = time.monotonic() + seconds
        while True:
            self.socket.settimeout(max(0.01, end - time.monotonic()))
            try:
                if word in self.socket.recv(4096).decode().split("\n"):
                    return True
            except TimeoutError:
                return False

    def close(self):
        self.socket.close()
        os.unlink(self.path)
