"""A real Chromium before a real `guiju serve`. Without a Chromium the tests say so and are skipped.

Whatever a page writes to the browser's console as an error, every script error and every breach of the content policy
fails the test that met it.
"""

import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, sync_playwright

from tests.serving import PASSWORD, Serving

NAMES = ("chromium", "chromium-browser", "google-chrome")
ARGUMENTS = [
    "--no-sandbox",  # a test machine often runs as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
OWN = re.compile(r"http://127\.0\.0\.1:\d+/")

Open = Callable[..., Page]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip(f"NO BROWSER: none of {', '.join(NAMES)} is installed, so no page was looked at")
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture(scope="package")
def service(browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    with Serving(tmp_path_factory.mktemp("browser") / "data", GUIJU_OWNER_PASSWORD=PASSWORD) as running:
        yield running.until_ready(everything=True)


@pytest.fixture
def visit(browser: Browser, service: Serving) -> Iterator[Open]:
    """Open a page of the console in a window of its own: `visit("/console/", width=360, language="en")`."""
    errors: list[str] = []
    contexts = []

    def heard(message: ConsoleMessage) -> None:
        expected = re.search(r"status of (4\d\d)", message.text)  # a refusal that the test provokes is no defect
        if message.type == "error" and not expected:
            errors.append(message.text)

    def open_page(path: str, width: int = 1280, height: int = 900, language: str = "zh-CN", scheme: str = "light") -> Page:
        base = f"http://127.0.0.1:{service.state()['ports']['console']}"
        context = browser.new_context(viewport={"width": width, "height": height}, locale=language, color_scheme=scheme, base_url=base)  # type: ignore[arg-type]  # light or dark
        contexts.append(context)
        page = context.new_page()
        page.on("console", heard)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: None if OWN.match(request.url) else errors.append(f"asked for {request.url}"))
        page.goto(path)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert errors == []


def sign_in(page: Page, name: str = "owner", password: str = PASSWORD) -> None:
    """Sign in on the sign-in page that is open, as the owner or somebody else."""
    page.fill("[name=name]", name)
    page.fill("[name=password]", password)
    page.click("button.main")
    page.wait_for_load_state("load")


@pytest.fixture
def pictures() -> Path | None:
    """Where to put pictures of the pages for people who want to look; GUIJU_PICTURES names the folder."""
    import os

    folder = os.environ.get("GUIJU_PICTURES")
    return Path(folder) if folder else None
