"""What all tests share: where the real data is, free ports, and one thread for torch."""

import os
import signal
import socket
from pathlib import Path

import pytest

from tests.one_at_a_time import ONE_AT_A_TIME

# Before torch is imported. Threads that wait for each other spin, and on a machine that does something
# else besides, small models then run a hundred times slower; alone, a second thread hardly helps them.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# A shell's background jobs ignore Ctrl-C, and so would all that the tests start and interrupt.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

pytest_plugins = ["tests.storage.s3", "tests.storage.gcs_dialect"]

REPOSITORY = Path(__file__).resolve().parent.parent


def free_ports(count: int) -> list[int]:
    """Return free ports outside 10002 to 19999, which Ray gives to its workers."""
    sockets = [socket.socket() for _ in range(count)]
    for s in sockets:
        s.bind(("127.0.0.1", 0))
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    assert not any(10002 <= port <= 19999 for port in ports)
    return ports


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if item.get_closest_marker("ray") or "s3_server" in getattr(item, "fixturenames", ()):
            item.add_marker(ONE_AT_A_TIME)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real videos and ground truth that lies beside a checkout, not in it."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("no shared/data beside this checkout")
    return folder
