"""The pages of the reviews: the queue, one item, the figures, the exceptions proposed."""

from typing import Any, Final

from django.contrib import messages
from django.db.models import Prefetch
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from guiju.core.errors import GuijuError
from guiju.records import flow as records
from guiju.screening.review import chart, figures, flow, proposals
from guiju.screening.review.errors import REVIEW_CLOSED, REVIEW_INCOMPLETE, REVIEW_LEASE, REVIEW_QUOTE, REVIEW_SECOND, REVIEW_TAKEN
from guiju.screening.review.models import NOTE_CHARACTERS, PHRASE_CHARACTERS, Decision, Finding, Item, Proposal
from guiju.screening.risks import BY_ID, RISKS
from guiju.web.access import actor_of, needs, post_only, text_of
from guiju.web.templatetags.guiju import error_text

SHOWN: Final = 50
RULES_SHOWN: Final = 20
QUOTE_CHARACTERS: Final = 2_000


@needs("review.view_item")
@require_GET
def queue(request: HttpRequest) -> HttpResponse:
    """Show what waits, what one has taken, and what was decided lately."""
    actor = actor_of(request)
    now = timezone.now()
    facts: dict[str, Any] = {
        "held": list(flow.held_by(actor)),
        "open": list(flow.open_to(actor, now)[:SHOWN]),
        "count": flow.count_open(),
        "now": now,
        "latest": list(
            Item.objects.filter(state__in=(Item.State.DECIDED, Item.State.GONE))
            .order_by("-closed_at")
            .prefetch_related(Prefetch("decisions", Decision.objects.prefetch_related("findings")))[:SHOWN]
        ),
        "needs_permission": records.opening_needs_two(),
        "permission": records.find_review_permission(actor),
        "kept": flow.rules_of_review(),
    }
    return render(request, "review/queue.html", facts)


@needs("review.review_item")
@post_only
def take_next(request: HttpRequest) -> HttpResponse:
    """Take the most urgent item."""
    found = flow.take_next(actor_of(request))
    if found is None:
        messages.info(request, _("现在没有您可以复核的件。"))
        return redirect("review:queue")
    return redirect("review:item", found.pk)


@needs("review.review_item")
@post_only
def take(request: HttpRequest, record: str) -> HttpResponse:
    """Take this item; where somebody else was quicker, say so."""
    try:
        flow.take(record, actor=actor_of(request))
    except GuijuError as problem:
        if problem.code not in (REVIEW_TAKEN, REVIEW_CLOSED, REVIEW_SECOND):
            raise
        messages.warning(request, error_text(problem))
        return redirect("review:queue")
    return redirect("review:item", record)


@needs("review.review_item")
@post_only
def ask_permission(request: HttpRequest) -> HttpResponse:
    """Ask another person to be allowed to see what is in the queue."""
    records.ask_for_review(actor=actor_of(request), reason=text_of(request.POST, "reason", 200) or _("日常复核"))
    messages.success(request, _("已申请；由另一人在“申请与批准”中批准。"))
    return redirect("review:queue")


@needs("review.view_item")
@require_GET
def item(request: HttpRequest, record: str) -> HttpResponse:
    """Show one item: its text to who has taken it, what was decided to the others once it is decided."""
    return _item(request, flow.get_item(record))


@needs("review.review_item")
@post_only
def decide(request: HttpRequest, record: str) -> HttpResponse:
    """Take a decision; one that is not complete comes back as it was filled in."""
    found = flow.get_item(record)
    judged = {hit["name"]: text_of(request.POST, f"rule-{place}", 10) for place, hit in enumerate(flow.rules_hit(found))}
    try:
        flow.decide(
            record,
            actor=actor_of(request),
            judged=judged,
            rest=text_of(request.POST, "rest", 10),
            risk=text_of(request.POST, "risk", 10),
            quote=text_of(request.POST, "quote", QUOTE_CHARACTERS),
            note=text_of(request.POST, "note", NOTE_CHARACTERS),
        )
    except GuijuError as problem:
        if problem.code in (REVIEW_INCOMPLETE, REVIEW_QUOTE):
            return _item(request, found, refusal=problem)
        if problem.code not in (REVIEW_LEASE, REVIEW_CLOSED, REVIEW_SECOND, REVIEW_TAKEN):
            raise
        messages.error(request, error_text(problem))
        return redirect("review:queue")
    messages.success(request, _("已保存。"))
    if "false" in judged.values():
        return redirect("review:item", record)  # where an exception can be proposed
    return redirect("review:queue")


@needs("review.review_item")
@post_only
def give_back(request: HttpRequest, record: str) -> HttpResponse:
    """Give the item back."""
    try:
        flow.give_back(record, actor=actor_of(request))
        messages.info(request, _("已退回队列。"))
    except GuijuError as problem:
        if problem.code is not REVIEW_LEASE:
            raise
        messages.warning(request, error_text(problem))
    return redirect("review:queue")


@needs("review.review_item")
@post_only
def propose(request: HttpRequest, record: str) -> HttpResponse:
    """Propose an exception to the owner of the library."""
    try:
        proposals.propose(
            record,
            rule=text_of(request.POST, "rule", 200),
            phrase=text_of(request.POST, "phrase", PHRASE_CHARACTERS),
            actor=actor_of(request),
        )
    except GuijuError as problem:
        return _item(request, flow.get_item(record), refusal=problem)
    messages.success(request, _("已转给词库负责人；词库不变。"))
    return redirect("review:item", record)


def _item(request: HttpRequest, found: Item, refusal: GuijuError | None = None) -> HttpResponse:
    actor = actor_of(request)
    mine = request.user.has_perm("review.review_item") and flow.held_by(actor).filter(pk=found.pk).exists()
    texts, told = [], refusal
    if mine:
        try:
            texts = flow.show(found.pk, actor=actor)
        except GuijuError as problem:
            told = problem
            found.refresh_from_db()
            mine = found.state == Item.State.TAKEN
    ended = found.state in (Item.State.DECIDED, Item.State.GONE)
    own = found.decisions.filter(reviewer=actor)
    decisions = list((found.decisions.all() if ended else own).order_by("at").prefetch_related("findings"))  # a second review is blind
    rules = [
        {**hit, "entry": proposals.find_entry(hit.get("rule", "")), "known": BY_ID.get(hit.get("risk", "")),
         "chosen": request.POST.get(f"rule-{place}", "")}
        for place, hit in enumerate(flow.rules_hit(found))
    ]  # fmt: skip
    false = {each.rule for decision in decisions for each in decision.findings.all() if each.verdict == Finding.Verdict.FALSE}
    facts = {
        "item": found,
        "mine": mine,
        "texts": texts,
        "rules": rules,
        "decisions": decisions,
        "excusable": [each for each in rules if each["rule"] in false and each["entry"] is not None],
        "proposed": list(found.proposals.order_by("pk")),
        "risks": RISKS,
        "given": request.POST,
        "refusal": told,
        "now": timezone.now(),
        "verdicts": [(verdict.value, verdict.label) for verdict in (Finding.Verdict.RIGHT, Finding.Verdict.FALSE, Finding.Verdict.UNSURE)],
    }
    return render(request, "review/item.html", facts, status=told.code.status if told else 200)


@needs("review.view_item")
@require_GET
def figures_page(request: HttpRequest) -> HttpResponse:
    """Show how precise the rules are, which are noisy, what was missed, and how far the queue is covered."""
    begins = figures.since(timezone.now())
    settled = figures.list_settled(begins)
    rules = figures.by_rule(settled)
    rule = text_of(request.GET, "rule", 200)
    weeks = figures.by_week(settled, begins, rule)
    facts = {
        "weeks": weeks,
        "charts": [chart.draw(weeks, _("每周的精确率"), width) for width in (chart.WIDTH, chart.NARROW)]
        if any(week.precision.whole for week in weeks)
        else [],
        "rule": rule,
        "rules": rules,
        "noisiest": [{"of": each, "entry": proposals.find_entry(each.rule), "risk": BY_ID.get(each.risk)} for each in rules[:RULES_SHOWN]],
        "missed": figures.missed_of_sample(settled),
        "refused": figures.refused_of_sample(begins),
        "wrongly": figures.wrongly_refused(settled),
        "agreement": figures.agreement(settled),
        "coverage": figures.coverage(begins),
        "kept": flow.rules_of_review(),
        "begins": begins,
    }
    return render(request, "review/figures.html", facts)


@needs("review.view_item")
@require_GET
def proposals_page(request: HttpRequest) -> HttpResponse:
    """Show the exceptions that were proposed."""
    drafts = [
        {"of": each, "entry": proposals.find_entry(each.rule)}
        for each in Proposal.objects.filter(state=Proposal.State.DRAFT).order_by("rule", "pk")[: SHOWN * 4]
    ]
    settled = Proposal.objects.exclude(state=Proposal.State.DRAFT).order_by("-settled_at")[:SHOWN]
    return render(request, "review/proposals.html", {"drafts": drafts, "settled": settled})


@needs("review.settle_proposal")
@post_only
def settle(request: HttpRequest, number: int) -> HttpResponse:
    """Say what became of a proposal."""
    try:
        proposals.settle(number, adopted=request.POST.get("decision") == "adopt", actor=actor_of(request))
        messages.success(request, _("已记录。词库文件由您修改并导入。"))
    except GuijuError as problem:
        messages.warning(request, error_text(problem))
    return redirect("review:proposals")


@needs("review.view_item")
@require_GET
def download_proposals(request: HttpRequest) -> HttpResponse:
    """Return the drafts as CSV, beside which the owner edits the library's file."""
    del request
    raw = proposals.as_csv(list(Proposal.objects.filter(state=Proposal.State.DRAFT).order_by("rule", "pk")))
    response = HttpResponse(raw, content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = 'attachment; filename="exceptions.csv"'
    return response
