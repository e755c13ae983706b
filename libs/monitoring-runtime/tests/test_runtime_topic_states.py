"""What is asked of Kafka about the topic of results, and of a broker that has just started."""

from __future__ import annotations

import contextlib
import socket
import struct
import subprocess
import sys
import threading

import pytest

# The keys of Kafka's protocol that such a broker is asked (https://kafka.apache.org/protocol).
METADATA, API_VERSIONS = 3, 18
LEADER_NOT_AVAILABLE = 5
ASK = """
import sys
from monitoring_core.config import KafkaConfig
from monitoring_core.errors import OutageError
from monitoring_runtime import topic_states
topic_states._TIMEOUT_S = 2.0
try:
    topic_states.KafkaTopicStates(KafkaConfig(bootstrap_servers=sys.argv[1], topic_name="results"), "test").now()
except OutageError as error:
    print(error)
"""


class Broker:
    """A broker that knows itself at first, and after some answers no broker, as for a moment after a restart."""

    def __init__(self, answers: int) -> None:
        self._left = answers
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._talk, args=(self._listener.accept()[0],), daemon=True).start()

    def _talk(self, connection: socket.socket) -> None:
        with connection, contextlib.suppress(OSError, struct.error), connection.makefile("rb") as requests:
            while size := requests.read(4):
                said = self._answer(requests.read(*struct.unpack(">i", size)))
                connection.sendall(struct.pack(">i", len(said)) + said)

    def _answer(self, request: bytes) -> bytes:
        key, version, correlation = struct.unpack(">hhi", request[:8])
        if key == API_VERSIONS and version == 3:
            # No error; two keys (a compact array counts from one), with their least and greatest versions.
            keys = b"".join(struct.pack(">hhhB", *one, 0) for one in ((METADATA, 0, 8), (API_VERSIONS, 0, 3)))
            return struct.pack(">ihB", correlation, 0, 3) + keys + struct.pack(">iB", 0, 0)
        assert key == METADATA
        self._left -= 1
        begin, end = struct.pack(">ii", correlation, 0), _topics(request) + struct.pack(">i", -(2**31))
        if self._left < 0:  # no brokers, no cluster, no controller
            return begin + struct.pack(">ihi", 0, -1, -1) + end
        # Itself, in no rack; a cluster whose controller it is.
        itself = struct.pack(">iih", 1, 1, 9) + b"127.0.0.1" + struct.pack(">ih", self.port, -1)
        return begin + itself + struct.pack(">h", 1) + b"c" + struct.pack(">i", 1) + end


def _topics(request: bytes) -> bytes:
    """The topic that a request for metadata names, if it does, without a leader."""
    at = 10 + max(0, *struct.unpack(">h", request[8:10]))  # the client's name is before
    (count,) = struct.unpack(">i", request[at : at + 4])
    if count < 1:
        return struct.pack(">i", 0)
    (length,) = struct.unpack(">h", request[at + 4 : at + 6])
    name = request[at + 4 : at + 6 + length]
    return struct.pack(">ih", 1, LEADER_NOT_AVAILABLE) + name + struct.pack(">?ii", False, 0, -(2**31))


@pytest.mark.parametrize("answers", range(5))
def test_a_broker_that_knows_of_no_broker_does_not_end_the_process(answers: int) -> None:
    """librdkafka 2.16 aborts the process for such an answer to a question about the cluster."""
    with contextlib.closing(Broker(answers)) as broker:
        where = f"127.0.0.1:{broker.port}"
        done = subprocess.run(
            [sys.executable, "-c", ASK, where], capture_output=True, text=True, check=False, timeout=60
        )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"Kafka at {where}")
