"""Kernels that speak over sockets in a private folder rather than over TCP, where the system has such sockets."""

import os
import tempfile

from jupyter_client.manager import AsyncKernelManager, KernelManager

LONGEST_SOCKET_PATH = 100  # the systems allow 103 to 107 bytes


def _use_private_sockets(manager):
    # The manager keeps the folder alive and takes it along when it goes.
    manager.socket_folder = tempfile.TemporaryDirectory(prefix="kernel-", ignore_cleanup_errors=True)
    ip = os.path.join(manager.socket_folder.name, "ipc")
    if os.name != "nt" and len(os.fsencode(ip)) + 2 <= LONGEST_SOCKET_PATH:
        manager.transport, manager.ip = "ipc", ip


class LocalKernelManager(KernelManager):
    """For nbval."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        _use_private_sockets(self)


class AsyncLocalKernelManager(AsyncKernelManager):
    """For nbclient."""

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        _use_private_sockets(self)
