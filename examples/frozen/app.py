"""A window that writes and suggests words, to be built into an app by PyInstaller.

`--once PROMPT` prints a text and ends, without a window.
"""

from __future__ import annotations

import argparse
import queue
import sys
import threading
from collections.abc import Callable
from itertools import zip_longest

from pygpt2edge import GPT2, Suggestion

N_SUGGESTIONS = 3


class Writer:
    """Works in a thread of its own, so that the window never waits. What it finds is called for by
    `deliver`, in the window's thread."""

    def __init__(self, model: GPT2) -> None:
        self._model = model
        self._tasks: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._found: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._newest = 0
        threading.Thread(target=self._work, daemon=True).start()

    def write(self, text: str, show: Callable[[str], None], end: Callable[[], None]) -> None:
        """Hands the pieces that come after a text to `show`, until there is another task."""
        task = self._next_task()

        def work() -> None:
            for piece in self._model.stream(text, max_tokens=40, context_overflow="slide"):
                if task != self._newest:
                    return
                self._found.put(lambda shown=piece.text: show(shown))
            self._found.put(end)

        self._tasks.put(work)

    def suggest(self, text: str, show: Callable[[list[Suggestion]], None]) -> None:
        """Hands the words that may come next to `show`."""
        task = self._next_task()

        def work() -> None:
            if task == self._newest:
                words = self._model.suggest(text, N_SUGGESTIONS)
                self._found.put(lambda: show(words))

        self._tasks.put(work)

    def deliver(self) -> None:
        """Shows what was found since the last call."""
        while not self._found.empty():
            self._found.get()()

    def _next_task(self) -> int:
        self._newest += 1
        return self._newest

    def _work(self) -> None:
        while True:
            self._tasks.get()()


def open_window(writer: Writer) -> None:
    import tkinter as tk

    window = tk.Tk()
    window.title("Write")
    page = tk.Text(window, width=64, height=16, wrap="word", font=("TkDefaultFont", 12))
    page.pack(expand=True, fill="both", padx=8, pady=8)
    row = tk.Frame(window)
    row.pack(fill="x", padx=8, pady=(0, 8))
    buttons = [tk.Button(row, width=14) for _ in range(N_SUGGESTIONS)]

    def text() -> str:
        return page.get("1.0", "end-1c")

    def append(piece: str) -> None:
        page.insert("end", piece)
        page.see("end")

    def take(completion: str) -> None:
        append(f"{completion} ")
        suggest()

    def show(words: list[Suggestion]) -> None:
        for button, found in zip_longest(buttons, words):
            word, completion = (found.word, found.completion) if found else ("", "")
            button.configure(text=word, command=lambda completion=completion: take(completion))

    def suggest(_: object = None) -> None:
        writer.suggest(text(), show)

    def write_on() -> None:
        if text().endswith(" "):  # the model's words begin with their space
            page.delete("end-2c")
        writer.write(text(), append, suggest)

    def poll() -> None:
        writer.deliver()
        window.after(20, poll)

    for button in buttons:
        button.pack(side="left")
    tk.Button(row, text="Write on", command=write_on).pack(side="right")
    page.bind("<KeyRelease>", suggest)
    page.focus()
    suggest()
    poll()
    window.mainloop()


def main() -> None:
    parser = argparse.ArgumentParser(description="A window that writes and suggests words.")
    parser.add_argument("--model", help="a GGUF file; the demo model where none is given")
    parser.add_argument("--once", metavar="PROMPT", help="print a text after it, and end")
    arguments = parser.parse_args()
    model = GPT2(arguments.model)
    if arguments.once is None:
        open_window(Writer(model))
    else:
        text = model.generate(arguments.once, max_tokens=40, seed=1).text
        sys.stdout.buffer.write(text.encode())


if __name__ == "__main__":
    main()
