"""The wheel's bill of materials (PEP 770): valid CycloneDX, and true."""

from __future__ import annotations

import hashlib
import json
import re
import subprocess
from importlib.metadata import distribution
from pathlib import Path
from typing import Any

import pytest

import pygpt2edge

ROOT = Path(__file__).resolve().parents[1]
NAME = "pygpt2edge.cdx.json"


def check_valid(text: str) -> None:
    validation = pytest.importorskip("cyclonedx.validation.json")
    schema = pytest.importorskip("cyclonedx.schema")
    error = validation.JsonStrictValidator(schema.SchemaVersion.V1_6).validate_str(text)
    assert error is None, error


def of_name(bom: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {component["name"]: component for component in bom["components"]}


@pytest.fixture
def made(tmp_path: Path) -> str:
    """What CMake writes for a wheel of version 1.2.3 with pybind11 4.5.6."""
    folders = [f"-DPROJECT_SOURCE_DIR={ROOT}", f"-DPROJECT_BINARY_DIR={tmp_path}"]
    versions = ["-DPROJECT_VERSION=1.2.3", "-Dpybind11_VERSION=4.5.6"]
    script = ROOT / "cmake" / "sbom.cmake"
    subprocess.run(["cmake", *folders, *versions, "-P", script], check=True)
    return (tmp_path / NAME).read_text(encoding="utf-8")


def test_it_is_valid(made: str) -> None:
    check_valid(made)


def test_it_names_what_is_not_the_projects_own(made: str) -> None:
    bom = json.loads(made)
    assert bom["metadata"]["component"]["version"] == "1.2.3"
    parts = of_name(bom)
    assert parts["pybind11"]["version"] == "4.5.6"
    tables = (ROOT / "csrc" / "tokenize" / "unicode_tables.h").read_text(encoding="utf-8")
    assert f"from Unicode {parts['Unicode Character Database']['version']}." in tables
    demo = hashlib.sha256((ROOT / "pygpt2edge" / "data" / "demo.gguf").read_bytes()).hexdigest()
    assert parts["demo-model"]["hashes"] == [{"alg": "SHA-256", "content": demo}]
    assert all(part["licenses"] for part in parts.values())
    referred = {part["bom-ref"] for part in parts.values()}
    assert set(bom["dependencies"][0]["dependsOn"]) == referred


def test_it_is_in_the_installed_package() -> None:
    files = distribution("pygpt2edge").files or []
    found = [file for file in files if file.parts[-2:] == ("sboms", NAME)]
    if not found:
        pytest.skip("needs the package installed from a wheel of this version")
    text = found[0].read_text(encoding="utf-8")
    check_valid(text)
    bom = json.loads(text)
    assert bom["metadata"]["component"]["version"] == pygpt2edge.__version__
    assert re.fullmatch(r"\d+\.\d+\.\d+\S*", of_name(bom)["pybind11"]["version"])
