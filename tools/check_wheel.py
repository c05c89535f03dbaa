"""Checks a wheel before it is given away: what is in it, what is not, its size and its tag.

    python tools/check_wheel.py WHEEL ...

Says of each wheel what is wrong with it, and fails if anything is.
"""

from __future__ import annotations

import argparse
import re
import sys
import zipfile
from pathlib import Path

LARGEST = 15_000_000  # bytes, demo model included
NEEDED = [
    r"pygpt2edge/_core\.(cpython|cp)[\w-]+\.(so|pyd)",
    r"pygpt2edge/_core\.pyi",
    r"pygpt2edge/py\.typed",
    r"pygpt2edge/config/include/gpt2edge\.h",
    r"pygpt2edge/config/lib/(libgpt2edge\.so\.\d+\.\d+|libgpt2edge\.dylib|gpt2edge\.dll)",
    r"pygpt2edge/config/lib/cmake/gpt2edge/gpt2edge-config\.cmake",
    r"pygpt2edge/data/demo\.gguf",
    r"pygpt2edge/data/attention\.html",
    r"pygpt2edge/serve/page/page\.html",
    r"pygpt2edge-[^/]+\.dist-info/entry_points\.txt",
    r"pygpt2edge-[^/]+\.dist-info/(licenses/)?LICENSE",
    r"pygpt2edge-[^/]+\.dist-info/sboms/pygpt2edge\.cdx\.json",
]
ALLOWED = (
    r"pygpt2edge/.*\.(py|pyi|typed|gguf|html|so|pyd)|pygpt2edge/config/(include|lib)/.*"
    r"|pygpt2edge/serve/page/.*\.(css|js)"
    r"|pygpt2edge-[^/]+\.dist-info/.*"
)


def complaints(wheel: Path) -> list[str]:
    size = wheel.stat().st_size
    found = [] if size <= LARGEST else [f"it has {size:,} bytes, more than {LARGEST:,}"]
    if re.fullmatch(r"pygpt2edge-[^-]+-cp3\d+-cp3\d+-\w+(\.\w+)*\.whl", wheel.name) is None:
        found.append("its name is not that of a wheel for one Python and one system")
    with zipfile.ZipFile(wheel) as archive:
        names = [name for name in archive.namelist() if not name.endswith("/")]
    for pattern in NEEDED:
        if len([name for name in names if re.fullmatch(pattern, name)]) != 1:
            found.append(f"there is not one file {pattern}")
    found += [f"{name} does not belong" for name in names if not re.fullmatch(ALLOWED, name)]
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("wheels", nargs="+", type=Path, metavar="WHEEL")
    failed = False
    for path in parser.parse_args().wheels:
        found = complaints(path)
        failed = failed or bool(found)
        print(f"{path.name}: {path.stat().st_size / 1e6:.1f} MB, {'; '.join(found) or 'sound'}")
    sys.exit(failed)


if __name__ == "__main__":
    main()
