"""A checkpoint in, a GGUF file out; and what a checkpoint holds."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from pygpt2edge.convert.adapters import Adapters, merge_adapters
from pygpt2edge.convert.calibration import Calibration
from pygpt2edge.convert.checkpoint import Checkpoint, StoredEntry
from pygpt2edge.convert.equalizing import equalized
from pygpt2edge.convert.hub import fetch_checkpoint, hub_name
from pygpt2edge.convert.mixing import Budget, Mixture, choose_mixture
from pygpt2edge.convert.model_config import ModelConfig
from pygpt2edge.convert.opening import is_weights_file, open_checkpoint
from pygpt2edge.convert.plan import output_type, plan_conversion
from pygpt2edge.output_file import check_target, replaced_when_whole

ROUNDINGS = ("search", "reference")

Progress = Callable[[int, int, str], None]


@dataclass(frozen=True)
class ConvertReport:
    """What a conversion made.

    Attributes:
      out: the file.
      source_kind: what the source was, such as "Hugging Face safetensors".
      type: what was asked for.
      n_params: parameters; a tied head counts once.
      n_bytes: of the whole file.
      bits_per_weight: of the tensors, without the metadata.
      type_counts: GGUF type -> number of tensors.
      seconds: how long it took.
      warnings: what the source has and a GGUF file cannot say.
      mixture: the types that were chosen for `bits` or `size`.
    """

    out: Path
    source_kind: str
    type: str
    n_params: int
    n_bytes: int
    bits_per_weight: float
    type_counts: dict[str, int]
    seconds: float
    warnings: list[str] = field(default_factory=list)
    mixture: Mixture | None = None


@dataclass(frozen=True)
class CheckpointInfo:
    """What a checkpoint is, as `inspect` shows it.

    Attributes:
      path: where it lies.
      kind: such as "Hugging Face safetensors".
      architecture: "gpt2".
      config: the model's shape.
      tensors: as stored, masks and other extras included.
      n_params: of the model; a tied head counts once.
      n_bytes: of the stored tensors.
      warnings: what is unusual about it.
    """

    path: Path
    kind: str
    architecture: str
    config: ModelConfig
    tensors: list[StoredEntry]
    n_params: int
    n_bytes: int
    warnings: list[str]


def convert(
    source: str | Path,
    out: str | Path,
    type: str | None = None,
    *,
    bits: float | None = None,
    size: str | int | None = None,
    allow_requantize: bool = False,
    embedding_type: str | None = None,
    rounding: str = "search",
    calibration: str | Path | None = None,
    error_feedback: bool = True,
    bias_compensation: bool = True,
    equalize: bool = False,
    n_threads: int | None = None,
    progress: Progress | None = None,
    revision: str | None = None,
    lora: Adapters = (),
    classifier: bool = True,
) -> ConvertReport:
    """Converts a checkpoint to one GGUF file that carries its tokenizer.

    Args:
      source: a Hugging Face folder or the weights' file in it, an OpenAI folder, a GGUF file, or
        a hub name such as "openai-community/gpt2" (which needs the [hub] extra).
      out: the file to write; replaced if it exists. It appears only when it is whole.
      type: one of OUTPUT_TYPES, such as "q8_0" (the default) or "iq4_nl", for the matrices. Norms,
        biases and positions stay f32; a matrix whose rows do not divide into the type's blocks
        becomes f16.
      bits: instead of a type, at most so many bits per parameter on average. Each tensor gets a
        type of its own, so that the sum of what they cost is the least: as `calibrate` measured it
        with sensitivities, else as estimated from the demo model's.
      size: the same by the size of the file, in bytes or such as "900MB".
      embedding_type: of the embedding and the head, if another; they weigh most in small models.
      allow_requantize: convert from a GGUF that is quantized already.
      rounding: "search" finds the scales of each block that give the smallest squared error;
        "reference" makes q8_0 and q4_0 bit for bit as ggml's reference quantizers do.
      calibration: a file that `calibrate` or llama.cpp's imatrix wrote for this model. Errors are
        then weighted by what the matrices' inputs were; from ours, every column also makes up for
        the errors of those before it, and biases for what the outputs lose on average.
      error_feedback, bias_compensation: False leaves out the one or the other of these two.
      equalize: move powers of two between norms and the matrices behind them, and between values
        and what follows attention, so that blocks of 32 hold numbers of a size; for models with
        channels far larger than others. By the calibration where there is one.
      n_threads: default, the CPUs this process may use. The bytes do not depend on it.
      progress: called with (bytes done, bytes in all, tensor's name) after every piece.
      revision: branch, tag or commit, for a hub name.
      lora: folders of LoRA adapters (PEFT's) to merge, in order; (folder, scale) makes one so many
        times as strong as it was trained.
      classifier: keep the head of a fine-tune that classifies texts or tokens, and its labels. A
        model with one generates only where the checkpoint has a head for text beside it; without
        it, the embedding is taken for that head, whatever the fine-tune made of it.

    Memory stays under the largest tensor in float32 plus 300 MB.

    Raises:
      OSError: the source is missing, the hub unreachable, the output cannot be written.
      FormatError: the checkpoint is damaged, incomplete or contradicts itself.
      UnsupportedError: it is a model this program does not run, or is quantized already.
      MissingDependencyError: a hub name, without the [hub] extra.
      ValueError: an unknown type, or a budget that no mixture fits.
    """
    # Not above: who only inspects a checkpoint need not wait for the package that writes GGUF.
    from pygpt2edge.convert.gguf_writer import append_tensors, write_head

    started = time.monotonic()
    _check_rounding(rounding)
    budget = Budget.of(type, embedding_type, bits, size)
    type = type or "q8_0"
    output_type(embedding_type or type)
    output_type(type)  # before a download of gigabytes
    out = Path(os.path.realpath(out))
    path, name = _locate(source, revision)
    statistics = None
    if calibration is not None:
        statistics = Calibration(
            Path(calibration), error_feedback=error_feedback, bias_compensation=bias_compensation
        )
    checkpoint = merge_adapters(open_checkpoint(path), lora)
    if not classifier:
        checkpoint = checkpoint.without_classifier()
    name = checkpoint.carried_metadata.get("general.name", name)
    vocabulary = checkpoint.read_vocabulary()
    plan = plan_conversion(checkpoint, type, allow_requantize, rounding, embedding_type)
    mixture = None
    if budget is not None:
        mixture = choose_mixture(checkpoint, plan, vocabulary, name, budget, statistics)
        plan = plan_conversion(
            checkpoint, mixture.main_type, allow_requantize, rounding, types=mixture.types
        )
    if equalize:
        types = {tensor.spec.gguf_name: tensor.type.name for tensor in plan.tensors}
        checkpoint, input_scales = equalized(checkpoint, types, statistics)
        plan = replace(
            plan,
            tensors=[
                replace(tensor, source=source)
                for tensor, (_, source) in zip(plan.tensors, checkpoint.tensors, strict=True)
            ],
        )
        if statistics is not None:
            statistics = statistics.with_scaled_inputs(input_scales)
    if path.is_file() and out.exists() and out.samefile(path):
        raise ValueError(f"{out}: is the source itself; give the output another name")
    check_target(out, plan.n_bytes)

    done = 0

    def report(n_bytes: int, tensor: str) -> None:
        nonlocal done
        done += n_bytes
        if progress is not None:
            progress(done, plan.n_bytes, tensor)

    with replaced_when_whole(out, plan.n_bytes) as temporary:
        write_head(
            temporary, plan, checkpoint.config, vocabulary, name, checkpoint.carried_metadata,
            checkpoint.classifier,
        )  # fmt: skip
        append_tensors(temporary, plan, n_threads, report, statistics)
    return ConvertReport(
        out=out,
        source_kind=checkpoint.kind,
        type=plan.type.name if mixture is None else "a mixture",
        n_params=checkpoint.n_params,
        n_bytes=out.stat().st_size,
        bits_per_weight=8 * plan.n_bytes / checkpoint.n_params,
        type_counts=plan.type_counts,
        seconds=time.monotonic() - started,
        warnings=[*plan.warnings, *vocabulary.warnings],
        mixture=mixture,
    )


def _check_rounding(rounding: str) -> None:
    if rounding not in ROUNDINGS:
        raise ValueError(
            f"rounding {rounding!r} is unknown, expected one of {', '.join(ROUNDINGS)}"
        )


def inspect_checkpoint(source: str | Path) -> CheckpointInfo:
    """Describes a checkpoint (a folder or a GGUF file, not a hub name) from its headers alone.

    Raises what `convert` raises for a source that is missing, damaged or not a GPT-2.
    """
    checkpoint: Checkpoint = open_checkpoint(Path(source))
    return CheckpointInfo(
        path=checkpoint.path,
        kind=checkpoint.kind,
        architecture="gpt2",
        config=checkpoint.config,
        tensors=checkpoint.entries,
        n_params=checkpoint.n_params,
        n_bytes=sum(entry.n_bytes for entry in checkpoint.entries),
        warnings=checkpoint.warnings,
    )


def _locate(source: str | Path, revision: str | None) -> tuple[Path, str]:
    """(local path, name of the model), after a download where that is needed."""
    path = Path(source)
    if not path.exists() and isinstance(source, str) and (repository := hub_name(source)):
        return fetch_checkpoint(repository, revision), repository.split("/")[-1]
    if is_weights_file(path):
        return path, path.absolute().parent.name
    resolved = path.resolve()
    return path, resolved.stem if resolved.is_file() else resolved.name
