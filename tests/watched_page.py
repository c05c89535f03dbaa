"""The server's page in a driven browser, with what it asks for and what goes wrong in it."""

from __future__ import annotations

from typing import Any

from playwright.sync_api import Page, Request, expect

expect.set_options(timeout=30_000)


class Watched:
    """A page. `asked` has the paths of the routes that it has asked."""

    def __init__(self, page: Page, url: str) -> None:
        self.page, self.url = page, url
        self.asked: list[str] = []
        self.problems: list[str] = []
        page.set_default_timeout(30_000)
        page.on("request", self._note)
        page.on("pageerror", lambda error: self.problems.append(str(error)))
        page.on(
            "console",
            lambda line: self.problems.append(line.text) if line.type == "error" else None,
        )

    def _note(self, request: Request) -> None:
        if request.url.startswith(("data:", "blob:")):
            return
        if not request.url.startswith(self.url + "/"):
            self.problems.append(f"asks {request.url}")
        self.asked.append(request.url.removeprefix(self.url))

    def open(self, settings: str = "") -> Watched:
        """Goes there, and waits until the model's answers are shown."""
        self.page.goto(f"{self.url}/#{settings}")
        return self

    def wait_for_candidates(self, after: int = 1) -> Watched:
        """Waits for those after so many tokens; an empty prompt has one."""
        expect(self.page.locator("#candidates")).to_have_attribute("data-after", str(after))
        return self

    def type(self, prompt: str, n_tokens: int) -> None:
        """A prompt, whose tokens and candidates are shown then."""
        self.page.fill("#prompt", prompt)
        expect(self.page.locator("#next-title")).to_have_text("Next after the prompt")
        self.wait_for_candidates(n_tokens)

    def write(self, prompt: str) -> str:
        """Writes after a prompt to the end; the text with it."""
        self.page.fill("#prompt", prompt)
        self.page.click("#write")
        return self.end()

    def end(self) -> str:
        """Waits until the text has ended, and what may come next is shown."""
        expect(self.page.locator("#status")).to_contain_text("token")
        expect(self.page.locator("#next-title")).to_have_text("Next token")
        return self.text()

    def text(self) -> str:
        return "".join(self.tokens())

    def tokens(self) -> list[str]:
        found: list[str] = self.page.locator("#text > span").all_text_contents()
        return found

    def candidates(self) -> list[dict[str, Any]]:
        """Id, probability of a draw and the model's own, for each bar."""
        found: list[dict[str, Any]] = self.page.locator("#candidates button").evaluate_all(
            "all => all.map(({dataset: {id, drawn, own}, className}) =>"
            " ({id: +id, drawn: +drawn, own: +own, never: className === 'never'}))"
        )
        return found

    def assert_sound(self) -> None:
        """No error, nothing against the policy, no request that left the server."""
        assert self.problems == []
