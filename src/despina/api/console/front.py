"""``/console`` itself."""

from despina.api.console.page import ROOT, ConsoleRequest, Page, Reply

HOME = f"{ROOT}/modeltraining"


def _front(request: ConsoleRequest) -> Reply:
    return request.redirect(HOME)


PAGES = (Page("ShowConsole", "GET", ROOT, None, _front),)
