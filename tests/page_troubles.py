"""What goes wrong in a page, for tests of the page."""

from __future__ import annotations

from playwright.sync_api import Dialog, Page, Request

# Requests that the page itself has given up, because what they were for is no longer shown.
GIVEN_UP = "net::ERR_ABORTED"


class Troubles:
    """What went wrong in a page, and where it asked."""

    def __init__(self, page: Page) -> None:
        self.found: list[str] = []
        self.requested: list[str] = []
        page.on("console", lambda message: self._note(message.type in {"error", "warning"}, message.text))
        page.on("pageerror", lambda error: self._note(True, str(error)))
        page.on("dialog", self._asked)
        page.on("request", lambda request: self.requested.append(request.url))
        page.on("websocket", lambda socket: self.requested.append(socket.url))
        page.on("requestfailed", self._failed)
        page.on("response", lambda answer: self._note(answer.status >= 400, f"{answer.status} {answer.url}"))

    def _asked(self, dialog: Dialog) -> None:
        self._note(True, f"dialog {dialog.message}")
        dialog.dismiss()

    def _failed(self, request: Request) -> None:
        self._note(request.failure != GIVEN_UP, f"{request.url} {request.failure}")

    def _note(self, is_wrong: bool, text: str) -> None:
        if is_wrong:
            self.found.append(text)
