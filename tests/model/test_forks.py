"""A process that forks while it has a model, whatever its threads do at that moment."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable

import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

# `child` runs an action in a child process, which is ended where it waits for ever.
BEGINNING = """
import multiprocessing, os, signal, sys, threading, traceback, warnings
from pygpt2edge import GPT2, Engine

warnings.simplefilter("ignore")
model = GPT2(n_threads=2)
OPTIONS = dict(seed=1, max_tokens=10)
LONG = dict(max_tokens=900, ignore_eos=True)

def child(action):
    pid = os.fork()
    if pid == 0:
        signal.alarm(100)
        try:
            action()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    assert status == 0, status

def raises(what, action):
    try:
        action()
    except Exception as error:
        assert what in str(error), error
    else:
        raise AssertionError("no error")

expected = model.generate("Once upon", **OPTIONS).text

def text_of(_):
    return model.generate("Once upon", **OPTIONS).text

def generates():
    assert model.generate("Once upon", **OPTIONS).text == expected
    texts = model.generate(["Once upon"] * 2, **OPTIONS)
    assert [text.text for text in texts] == [expected] * 2
    with Engine(model) as engine:
        assert engine.submit("Once upon", **OPTIONS).result().text == expected
"""

AT_REST = """
child(generates)
child(lambda: child(generates))
generates()
with multiprocessing.get_context("fork").Pool(2) as pool:
    assert pool.map(text_of, range(4)) == [expected] * 4
"""

WHILE_ANOTHER_THREAD_GENERATES = """
over = threading.Event()

def work():
    while not over.is_set():
        model.generate("It is", max_tokens=50, ignore_eos=True)

thread = threading.Thread(target=work)
thread.start()
for _ in range(5):
    child(generates)
over.set()
thread.join()
"""

WITH_AN_ENGINE = """
with Engine(model) as engine:
    child(generates)
    child(lambda: raises("make an Engine in this process", lambda: engine.submit("It is")))
    child(engine.close)
    requests = [engine.submit("It is", **LONG) for _ in range(3)]
    next(requests[0])
    child(generates)
    child(lambda: raises("make an Engine in this process", requests[1].result))
    child(lambda: requests[2].cancel())
    child(engine.close)
    for request in requests:
        request.cancel()
        request.result()
    assert engine.submit("Once upon", **OPTIONS).result().text == expected
"""

A_STREAM = """
stream = model.stream("Once upon", **OPTIONS)
first = next(stream).text

def goes_on():
    assert first + "".join(piece.text for piece in stream) == expected

child(goes_on)
goes_on()
"""

A_CONSTRAINED_TEXT = """
pytest = __import__("pytest")
pytest.importorskip("llguidance")
WORDS = dict(OPTIONS, regex="[a-z ]+")
words = model.generate("Once upon", **WORDS).text

def generates_words():
    assert model.generate("Once upon", **WORDS).text == words

child(generates_words)
stream = model.stream("Once upon", **WORDS)
next(stream)

def goes_on_or_says_why():
    try:
        for _ in stream:
            pass
    except RuntimeError as error:
        assert "begin the text anew" in str(error), error

child(goes_on_or_says_why)
child(generates_words)
"""


@pytest.mark.parametrize(
    "code",
    [AT_REST, WHILE_ANOTHER_THREAD_GENERATES, WITH_AN_ENGINE, A_STREAM, A_CONSTRAINED_TEXT],
    ids=["at-rest", "busy", "engine", "stream", "constrained"],
)
def test_a_child_goes_on(
    run_python: Callable[..., subprocess.CompletedProcess[str]], code: str
) -> None:
    done = run_python(BEGINNING + code)
    assert done.returncode == 0, done.stdout + done.stderr
