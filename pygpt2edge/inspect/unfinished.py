"""What a calibration has done so far, in a folder beside its output, so that another run of the
same command goes on from there.

    run.json         what it is of, how many layers are done, and the costs that were measured
    stats.gguf       the statistics of these layers
    residuals-N.f32  what goes into layer N: n_embd float32 a token

A layer counts once its statistics and residuals are on the disk; then run.json is replaced.
"""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

from pygpt2edge.output_file import replaced_when_whole


class Unfinished:
    """The folder.

    Attributes:
      stats: the path of the statistics.
      n_layers: how many are done.
      head_bytes: of the statistics' file before its tensors.
      costs: what each type costs each tensor, as far as it was measured.
    """

    def __init__(self, out: Path, what: dict[str, Any]) -> None:
        """`what` tells this calibration from others: those of other inputs are begun anew."""
        self.folder = out.with_name(f"{out.name}.unfinished")
        self.stats = self.folder / "stats.gguf"
        self.n_layers = 0
        self.head_bytes = 0
        self.costs: dict[str, dict[str, float]] = {}
        self._what = what
        self._state = self.folder / "run.json"

    def resume(self) -> bool:
        """Takes up what an interrupted run left, if it is of the same calibration."""
        try:
            found = json.loads(self._state.read_text(encoding="utf-8"))
            if found["what"] != self._what:
                return False
            self.n_layers, self.head_bytes = int(found["layers"]), int(found["head_bytes"])
            self.costs = found["costs"]
        except (OSError, ValueError, KeyError, TypeError):
            return False
        return True

    def clear(self) -> None:
        """Begins anew."""
        self.remove()
        self.folder.mkdir()

    @property
    def n_bytes(self) -> int:
        """That the folder takes."""
        if not self.folder.is_dir():
            return 0
        return sum(file.stat().st_size for file in self.folder.rglob("*") if file.is_file())

    def residuals(self, layer: int) -> Path:
        return self.folder / f"residuals-{layer}.f32"

    def layer_is_done(self, layer: int) -> None:
        """Its statistics and the next layer's residuals have been written."""
        self.n_layers = layer + 1
        self.save()
        self.residuals(layer).unlink(missing_ok=True)

    def save(self) -> None:
        state = {"what": self._what, "layers": self.n_layers, "head_bytes": self.head_bytes,
                 "costs": self.costs}  # fmt: skip
        with replaced_when_whole(self._state, 0) as temporary:
            temporary.write_text(json.dumps(state), encoding="utf-8")

    def finish(self, out: Path) -> None:
        """Gives the statistics their name."""
        with self.stats.open("rb+") as file:
            os.fsync(file.fileno())
        self.stats.replace(out)
        self.remove()

    def remove(self) -> None:
        if self.folder.is_dir():
            shutil.rmtree(self.folder)
