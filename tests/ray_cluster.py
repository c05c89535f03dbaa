"""A Ray cluster on this machine, of nodes with one processor each."""

from __future__ import annotations

import contextlib
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

psutil = pytest.importorskip("psutil", reason="needs psutil")

_PATIENCE_S = 60


class Cluster:
    """`address` is what others join it by, once it has a node."""

    def __init__(self, folder: Path) -> None:
        self.address = ""
        self._folder = folder
        self._nodes: list[subprocess.Popen[bytes]] = []

    def add_node(self) -> None:
        """The first one is the head."""
        is_head = ["--head", "--port", "0", "--include-dashboard", "false"]
        command = [Path(sys.executable).with_name("ray"), "start", "--block",
                   *(["--address", self.address] if self.address else is_head),
                   "--num-cpus", "1", "--object-store-memory", str(80 << 20),
                   "--temp-dir", self._folder, "--include-log-monitor", "false",
                   "--disable-usage-stats"]  # fmt: skip
        log = self._folder / f"{len(self._nodes)}.log"
        with log.open("wb") as file:
            node = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=file, stderr=file)
        self._nodes.append(node)
        wait_for(lambda: "will now block" in log.read_text() or node.poll() is not None)
        assert node.poll() is None, log.read_text()
        if not self.address:
            self.address = re.findall(r"ray start --address='(.*?)'", log.read_text())[0]

    def workers(self) -> list[psutil.Process]:
        """The processes that do a piece now."""
        found = []
        for process in self._processes():
            with contextlib.suppress(psutil.Error):
                if process.cmdline()[:1] == ["ray::Map(_done)"]:
                    found.append(process)
        return found

    def stop(self) -> None:
        for process in self._processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()
        for node in self._nodes:
            node.wait()

    def _processes(self) -> list[psutil.Process]:
        """The nodes', and all that they have started."""
        found = []
        for node in self._nodes:
            with contextlib.suppress(psutil.NoSuchProcess):
                process = psutil.Process(node.pid)
                found += [process, *process.children(recursive=True)]
        return found


@contextlib.contextmanager
def ray_cluster() -> Iterator[Cluster]:
    """With one node."""
    # In a folder of a short name: the paths of sockets in it have at most 107 characters.
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as folder:
        cluster = Cluster(Path(folder))
        try:
            cluster.add_node()
            yield cluster
        finally:
            cluster.stop()


def wait_for(condition: Callable[[], object]) -> None:
    end = time.monotonic() + _PATIENCE_S
    while not condition():
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.02)
