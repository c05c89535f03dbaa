"""A mixture of types for a model: what may be chosen, what it costs, and what room there is."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from pygpt2edge.convert.calibration import Calibration
from pygpt2edge.convert.checkpoint import Checkpoint
from pygpt2edge.convert.costs import Costs, estimated_costs, has_costs, possible_types
from pygpt2edge.convert.gpt2_names import TensorSpec
from pygpt2edge.convert.mixture import Choice, least_bytes, least_cost, parse_size
from pygpt2edge.convert.plan import OUTPUT_TYPES, ConversionPlan
from pygpt2edge.convert.stored_tensor import row_shape
from pygpt2edge.convert.vocabulary import Vocabulary
from pygpt2edge.errors import FormatError

_ALIGNMENT = 32


@dataclass(frozen=True)
class Budget:
    """The room that a mixture has: bits per parameter, or bytes of the file."""

    bits: float | None
    size: int | None

    @staticmethod
    def of(
        type: str | None, embedding_type: str | None, bits: float | None, size: str | int | None
    ) -> Budget | None:
        """None where a type was asked for. Raises ValueError for a contradiction."""
        if bits is None and size is None:
            return None
        if sum(each is not None for each in (type, embedding_type, bits, size)) > 1:
            raise ValueError(
                "a type, bits and a size exclude each other: bits and size choose the types"
            )
        if bits is not None and not bits > 0:
            raise ValueError(f"bits are {bits}; give a number above 0, such as 4.5")
        return Budget(bits, parse_size(str(size)) if size is not None else None)


@dataclass(frozen=True)
class Mixture:
    """The chosen types.

    Attributes:
      types: by the names of tensors in a GGUF.
      n_numbers: of these tensors.
      cost: the sum of the tensors' costs: the KL divergence that is to be expected, in nats.
      is_measured: whether the costs are this model's, not estimates.
    """

    types: dict[str, str]
    n_numbers: dict[str, int]
    cost: float
    is_measured: bool

    @property
    def main_type(self) -> str:
        """The type of most numbers."""
        counts: Counter[str] = Counter()
        for name, type in self.types.items():
            counts[type] += self.n_numbers[name]
        return counts.most_common(1)[0][0]

    def lines(self) -> list[str]:
        """A line for each kind of tensor, such as "ffn_up: q5_k (layers 0, 3-5), q4_k (1, 2)"."""
        kinds: dict[str, dict[str, list[int]]] = {}
        for name, type in self.types.items():
            match = re.fullmatch(r"blk\.(\d+)\.(\w+)\.weight", name)
            kind = match[2] if match else name.removesuffix(".weight")
            kinds.setdefault(kind, {}).setdefault(type, []).extend([int(match[1])] if match else [])
        return [f"{kind}: {_types_of(by_type)}" for kind, by_type in kinds.items()]


def _types_of(by_type: dict[str, list[int]]) -> str:
    if len(by_type) == 1:
        return next(iter(by_type))
    return ", ".join(f"{type} (layers {_ranges(layers)})" for type, layers in by_type.items())


def _ranges(numbers: list[int]) -> str:
    """[0, 3, 4, 5] -> "0, 3-5"."""
    runs: list[list[int]] = []
    for number in numbers:
        if runs and runs[-1][1] == number - 1:
            runs[-1][1] = number
        else:
            runs.append([number, number])
    return ", ".join(f"{a}" if a == b else f"{a}-{b}" for a, b in runs)


def choose_mixture(
    checkpoint: Checkpoint, plan: ConversionPlan, vocabulary: Vocabulary, name: str,
    budget: Budget, calibration: Calibration | None,
) -> Mixture:  # fmt: skip
    """`plan` is one with any types. Raises ValueError when no mixture is as small."""
    chosen = [tensor.spec for tensor in plan.tensors if has_costs(tensor.spec)]
    costs, is_measured = _costs(chosen, checkpoint.config.n_layer, calibration)
    fixed = sum(tensor.n_bytes for tensor in plan.tensors if not has_costs(tensor.spec))
    if budget.size is not None:
        fixed += _head_bytes(checkpoint, plan, vocabulary, name)
        fixed += _ALIGNMENT * len(plan.tensors)  # of padding, at most
        room = budget.size
    else:
        room = int((budget.bits or 0) * checkpoint.n_params / 8)
    choices = [
        [
            Choice(kind, row_shape(spec.shape)[0] * _row_bytes(spec, kind), cost)
            for kind, cost in costs[spec.gguf_name].items()
        ]
        for spec in chosen
    ]
    least = fixed + least_bytes(choices)
    if room < least:
        raise ValueError(_too_small(budget, least, checkpoint.n_params))
    picked = least_cost(choices, room - fixed)
    return Mixture(
        types={spec.gguf_name: one.type for spec, one in zip(chosen, picked, strict=True)},
        n_numbers={spec.gguf_name: spec.n_elements for spec in chosen},
        cost=sum(one.cost for one in picked),
        is_measured=is_measured,
    )


def _row_bytes(spec: TensorSpec, kind: str) -> int:
    return OUTPUT_TYPES[kind].row_bytes(row_shape(spec.shape)[1])


def _costs(
    specs: list[TensorSpec], n_layers: int, calibration: Calibration | None
) -> tuple[dict[str, Costs], bool]:
    measured = {}
    if calibration is not None:
        measured = {spec.gguf_name: calibration.costs(spec.gguf_name) for spec in specs}
    if not any(measured.values()):
        return {spec.gguf_name: estimated_costs(spec, n_layers) for spec in specs}, False
    out: dict[str, Costs] = {}
    for spec in specs:
        known, possible = measured[spec.gguf_name], possible_types(spec)
        usable = {kind: cost for kind, cost in (known or {}).items() if kind in possible}
        if not usable:
            raise FormatError(
                f"the calibration has no costs of {spec.gguf_name}: it is of another model; "
                "calibrate again"
            )
        out[spec.gguf_name] = usable
    return out, True


def _head_bytes(
    checkpoint: Checkpoint, plan: ConversionPlan, vocabulary: Vocabulary, name: str
) -> int:
    """Of a file's part before the tensors, which does not depend on their types."""
    from pygpt2edge.convert.gguf_writer import write_head

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "head.gguf"
        write_head(
            path, plan, checkpoint.config, vocabulary, name, checkpoint.carried_metadata,
            checkpoint.classifier,
        )  # fmt: skip
        return path.stat().st_size


def _too_small(budget: Budget, least: int, n_params: int) -> str:
    if budget.size is None:
        bits = 8 * least / n_params
        return f"{budget.bits} bits are too few: the least for this model are {bits:.3f}"
    return (
        f"{budget.size / 1e6:.1f} MB are too few: the smallest file of this model has "
        f"{least / 1e6:.1f} MB"
    )
