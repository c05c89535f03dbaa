"""What all tests share. The tests exercise the installed package, not the folder beside them."""

from __future__ import annotations

import sys
from pathlib import Path

_ROOT = Path(__file__).resolve().parents[1]

# `python -m pytest` puts the checkout on the path; the package there has no compiled core.
sys.path = [entry for entry in sys.path if Path(entry or ".").resolve() != _ROOT]
# What several tests share, such as tiny_models, stands beside this file.
sys.path.append(str(Path(__file__).parent))
