"""Draws the tokens a second of several runtimes as bars, one panel a measurement.

    python tools/plot_peers.py RESULTS.json OUT.svg

RESULTS.json maps a title to {runtime: {"prefill 512": tokens_s, ...}}; runtimes whose name begins
with "pygpt2edge" are drawn in the stronger colour. Needs no library.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from xml.sax.saxutils import escape

ROW, LABEL, BAR, GAP, HEAD = 22, 230, 300, 90, 52
OURS, OTHERS, INK = "#1b6ca8", "#b8c4cc", "#222222"


def text(x: float, y: float, words: str, size: int = 13, weight: str = "normal") -> str:
    place = f'x="{x:.0f}" y="{y:.0f}" font-size="{size}" font-weight="{weight}" fill="{INK}"'
    return f"<text {place}>{escape(words)}</text>"


def panel(left: float, top: float, title: str, speeds: dict[str, float]) -> list[str]:
    parts = [text(left, top - 12, title, 14, "bold")]
    most = max(speeds.values())
    for row, (runtime, speed) in enumerate(speeds.items()):
        y = top + row * ROW
        colour = OURS if runtime.startswith("pygpt2edge") else OTHERS
        width = BAR * speed / most
        bar = f'x="{left + LABEL:.0f}" y="{y:.0f}" width="{width:.1f}" height="{ROW - 6}"'
        parts.append(text(left, y + 13, runtime))
        parts.append(f'<rect {bar} fill="{colour}"/>')
        parts.append(text(left + LABEL + width + 6, y + 13, f"{speed:,.0f}", 12))
    return parts


def draw(results: dict[str, dict[str, dict[str, float]]]) -> str:
    parts: list[str] = []
    top, width = HEAD, 0.0
    for title, runtimes in results.items():
        measurements = list(next(iter(runtimes.values())))
        for i, measurement in enumerate(measurements):
            left = 16 + i * (LABEL + BAR + GAP)
            speeds = {runtime: figures[measurement] for runtime, figures in runtimes.items()}
            parts += panel(left, top, f"{title}, {measurement}, tokens/s", speeds)
            width = max(width, left + LABEL + BAR + GAP)
        top += len(runtimes) * ROW + HEAD
    attributes = (
        f'xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{top - HEAD + 16:.0f}" '
        'font-family="sans-serif"'
    )
    background = '<rect width="100%" height="100%" fill="#ffffff"/>'
    body = "\n".join([background, *parts])
    return f"<svg {attributes}>\n{body}\n</svg>\n"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("results", type=Path, metavar="RESULTS.json")
    parser.add_argument("out", type=Path, metavar="OUT.svg")
    args = parser.parse_args()
    args.out.write_text(draw(json.loads(args.results.read_text())), encoding="utf-8")


if __name__ == "__main__":
    main()
