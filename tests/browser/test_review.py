"""Reviews in a real browser: an unsure find is taken, seen, judged; an exception is proposed; the figures are drawn. Wide and on a phone."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open, sign_in
from tests.serving import Serving, clean_environment, guiju

pytestmark = pytest.mark.browser
QUESTION = "我在网上看到有人发“相约自杀群”，很担心，该向谁举报？我的电话是13800138000。"

FILL = """
import sys
from pathlib import Path
from guiju.web import open_data_folder
open_data_folder(Path(sys.argv[1]))
from guiju.screening.review.tasks import do_due
from guiju.screening.review.models import Item
do_due()
from guiju.screening import flow as libraries
rule = next(entry.id for entry in libraries.active_library().entries if entry.term == "相约自杀群")
print(*[item.pk for item in Item.objects.order_by("-pk") if any(hit["rule"] == rule for hit in item.hits)][:1])
"""
SEED = """
import sys
from datetime import timedelta
from pathlib import Path
from guiju.web import open_data_folder
open_data_folder(Path(sys.argv[1]))
from django.utils import timezone
from guiju.screening import flow as libraries
from guiju.screening.review.models import Decision, Finding, Item
now = timezone.now()
rules = [entry for entry in libraries.active_library().entries if entry.severity == "flag"][:6]
for place in range(240):
    at = now - timedelta(days=place % 84, minutes=1)
    kind = "gateway.input.refused" if place % 9 == 0 else "gateway.answer.delivered"
    origin = "sample" if place % 3 == 0 else "hit"
    both = place % 4 == 0
    item = Item.objects.create(record=f"{place:026d}", kind=kind, service="chat", at=at, origin=origin, queued_at=at, due_at=at, closed_at=at,
                               state="decided", needs=2 if both else 1, library="a" * 16, bundle="b" * 16)
    for number in range(2 if both else 1):
        decision = Decision.objects.create(item=item, reviewer=f"person:{'lin' if number else 'wei'}", at=at, record="0" * 26)
        if origin == "hit":
            rule = rules[place % 6]
            verdict = "false" if (place * 7 + number) % 10 < 1 + place % 6 else "unsure" if place % 23 == 0 else "right"
            Finding.objects.create(decision=decision, direction="input", rule=rule.id, risk=rule.risk, confidence="low", verdict=verdict)
        else:
            Finding.objects.create(decision=decision, verdict="missed" if place % 33 == 0 else "right", risk="A.1.h" if place % 33 == 0 else "")
"""


def run(code: str, service: Serving) -> str:
    done = subprocess.run(
        [sys.executable, "-c", code, str(service.data)], check=True, capture_output=True, text=True, env=clean_environment()
    )
    return done.stdout.strip()


@pytest.fixture(scope="module")
def reviewer(service: Serving) -> str:
    """A reviewer with an account; the password."""
    done = guiju("people", "add", "wei", "--role", "reviewer", "--data", str(service.data))
    assert done.returncode == 0, done.stderr
    return done.stdout.split()[-1]


def picture(page: Page, pictures: Path | None, name: str) -> None:
    page.wait_for_load_state("load")
    over = page.evaluate("() => document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if pictures is not None:
        page.screenshot(path=pictures / f"{name}.png", full_page=True)
    assert over <= 0, f"{name} is {over} px wider than its window"


def test_an_unsure_find_is_judged(visit: Open, service: Serving, reviewer: str, pictures: Path | None) -> None:
    empty = visit("/console/review/")
    sign_in(empty, "wei", reviewer)
    empty.goto("/console/review/")
    picture(empty, pictures, "review-empty")
    body = {"model": "guiju-demo", "messages": [{"role": "user", "content": QUESTION}]}
    status, answer = service.ask("POST", "/v1/chat/completions", body, service.playground_key())
    assert status == 200, answer
    service.until(lambda: run(FILL, service), "the item in the queue")
    item = run(FILL, service)
    page = visit("/console/review/", width=390, height=844)
    sign_in(page, "wei", reviewer)
    page.goto("/console/review/")
    picture(page, pictures, "review-queue-phone")
    page.locator("#open tr", has_text=item).locator("button").click()
    page.wait_for_load_state("load")
    expect(page.locator("#texts mark").first).to_have_text("相约自杀群")
    assert "13800138000" not in page.content()
    picture(page, pictures, "review-item-phone")
    at = page.url
    empty.goto(at)
    picture(empty, pictures, "review-item")
    page.check("[name=rule-0][value=false]")
    page.check("[name=rule-1][value=right]")  # the number was a number
    page.check("[name=rest][value=right]")
    page.fill("[name=note]", "家长求助，不是约人")
    page.click("#decide button.main")
    page.wait_for_load_state("load")
    page.fill("#propose [name=phrase]", "“相约自杀群”，很担心")
    page.click("#propose button")
    page.wait_for_load_state("load")
    expect(page.locator(".notice")).to_contain_text("已转给词库负责人")
    picture(page, pictures, "review-decided-phone")

    def listed(kind: str) -> list[dict[str, str]]:
        found: list[dict[str, str]] = json.loads(guiju("records", "list", "--data", str(service.data), "--kind", kind, "--json").stdout)
        return found

    service.until(lambda: listed("screening.review.decided"), "the record of the decision")
    assert "person:wei" in [each["actor"] for each in listed("records.content.opened")]


def test_figures_are_drawn(visit: Open, service: Serving, reviewer: str, pictures: Path | None) -> None:
    run(SEED, service)
    page = visit("/console/review/figures/", language="en")
    sign_in(page, "wei", reviewer)
    for path, name in (("figures/", "figures"), ("", "queue"), ("exceptions/", "exceptions")):
        page.goto(f"/console/review/{path}")
        picture(page, pictures, f"review-{name}")
    narrow = visit("/console/review/figures/", width=390, height=844)
    sign_in(narrow, "wei", reviewer)
    for path, name in (("figures/", "figures"), ("exceptions/", "exceptions")):
        narrow.goto(f"/console/review/{path}")
        picture(narrow, pictures, f"review-{name}-phone")
    narrow.goto("/console/review/figures/")
    expect(narrow.locator(".narrow-only svg.chart")).to_be_visible()
    assert narrow.locator(".narrow-only svg.chart circle").count() > 0
