"""Counts the instructions that a token takes on the Arm cores, exactly, under emulation.

    python tools/count_arm_instructions.py [MODEL ...]

Needs Debian's g++-aarch64-linux-gnu, gcc and qemu-user. A program that reads a prompt and writes is
cross-compiled with the core and run by QEMU, whose plug-in (compiled here too) adds up the
instructions of every block that runs. A token's are the difference of two runs with different
numbers of tokens. Without a MODEL: the demo model, as it is and in Q8_0.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CORES = ["cortex-a72", "cortex-a76"]

# What QEMU calls and offers: https://www.qemu.org/docs/master/devel/tcg-plugins.html
PLUGIN = r"""
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>

typedef uint64_t plugin_id;
struct block;
int qemu_plugin_version __attribute__((visibility("default"))) = 1;
void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct block*));
size_t qemu_plugin_tb_n_insns(const struct block*);
void qemu_plugin_register_vcpu_tb_exec_inline(struct block*, int add, void*, uint64_t);
void qemu_plugin_register_atexit_cb(plugin_id, void (*)(plugin_id, void*), void*);

static uint64_t executed;
static void translated(plugin_id id, struct block* block) {
  (void)id;
  qemu_plugin_register_vcpu_tb_exec_inline(block, 0, &executed, qemu_plugin_tb_n_insns(block));
}
static void ended(plugin_id id, void* data) {
  (void)id, (void)data;
  fprintf(stderr, "executed %" PRIu64 "\n", executed);
}
__attribute__((visibility("default"))) int qemu_plugin_install(plugin_id id, const void* info,
                                                                int argc, char** argv) {
  (void)info, (void)argc, (void)argv;
  qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
  qemu_plugin_register_atexit_cb(id, ended, NULL);
  return 0;
}
"""

PROGRAM = r"""
#include <cstdlib>
#include <vector>
#include "generate/sequence.h"

// program MODEL tokens-read-at-once tokens-one-by-one
int main(int, char** argv) {
  using namespace gpt2edge;
  const auto model = std::make_shared<Model>(argv[1], 1, CacheOptions{});
  Sequence sequence(model, 1024, kernels::CacheType::kInt8);
  std::vector<int32_t> tokens(static_cast<size_t>(std::atoi(argv[2])));
  for (size_t i = 0; i < tokens.size(); ++i) tokens[i] = static_cast<int32_t>(i * 37 % 1000);
  sequence.append(tokens, nullptr, nullptr);
  const std::span<const int32_t> one{tokens.data(), 1};
  for (int i = 0; i < std::atoi(argv[3]); ++i) sequence.append(one, nullptr, nullptr);
}
"""


def build(folder: Path) -> tuple[Path, Path]:
    """The program and the plug-in."""
    (folder / "plugin.c").write_text(PLUGIN)
    (folder / "program.cpp").write_text(PROGRAM)
    plugin, program = folder / "plugin.so", folder / "program"
    subprocess.run(
        ["gcc", "-shared", "-fPIC", "-O2", "-o", plugin, folder / "plugin.c"], check=True
    )
    options = {
        "CMAKE_SYSTEM_NAME": "Linux",
        "CMAKE_SYSTEM_PROCESSOR": "aarch64",
        "CMAKE_CXX_COMPILER": "aarch64-linux-gnu-g++",
        "GPT2EDGE_PYTHON": "OFF",
    }
    core = folder / "core"
    defines = [f"-D{name}={value}" for name, value in options.items()]
    commands: list[list[str | Path]] = [
        ["cmake", "-G", "Ninja", "-S", ROOT, "-B", core, *defines],
        ["cmake", "--build", core],
        ["aarch64-linux-gnu-g++", "-std=c++20", "-O2", "-static", "-I", ROOT / "csrc",
         folder / "program.cpp", core / "csrc/libgpt2edge_core.a", "-o", program],
    ]  # fmt: skip
    for command in commands:
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return program, plugin


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", nargs="*", type=Path)
    models: list[Path] = parser.parse_args().model
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        program, plugin = build(folder)
        if not models:
            demo = ROOT / "pygpt2edge/data/demo.gguf"
            models = [demo, folder / "demo-q8_0.gguf"]
            convert = ["pygpt2edge", "convert", demo, models[1], "--type", "q8_0"]
            subprocess.run([*convert, "--allow-requantize"], check=True)

        def executed(core: str, model: Path, read: int, written: int) -> int:
            command = ["qemu-aarch64", "-cpu", core, "-plugin", plugin, program, model]
            done = subprocess.run(
                [*command, str(read), str(written)], capture_output=True, text=True, check=True
            )
            found = re.search(r"executed (\d+)", done.stderr)
            assert found is not None, done.stderr
            return int(found[1])

        print("| core | model | instructions a token, writing | reading |")
        print("|---|---|---|---|")
        for core in CORES:
            for model in models:
                start = executed(core, model, 16, 0)
                writing = (executed(core, model, 16, 8) - start) / 8
                # Whole tiles of rows on both sides.
                reading = (executed(core, model, 144, 0) - executed(core, model, 48, 0)) / 96
                print(f"| {core} | {model.stem} | {writing:,.0f} | {reading:,.0f} |")


if __name__ == "__main__":
    main()
