"""What can go wrong with a review."""

from guiju.core.errors import Text, define

REVIEW_UNKNOWN = define(
    "REVIEW-UNKNOWN",
    status=404,
    kind="not_found_error",
    zh=Text("复核队列中没有编号为 {id} 的件。", "什么也没有改动。", "请从“复核”页面进入。"),
    en=Text("There is no item {id} in the queue of reviews.", "Nothing was changed.", "Go there from the page “Review”."),
)
REVIEW_TAKEN = define(
    "REVIEW-TAKEN",
    status=409,
    kind="invalid_request_error",
    retry=True,
    zh=Text("{id} 已被他人取走。", "没有打开其内容，其状态不变。", "请取下一件；对方到期未复核的，会回到队列。"),
    en=Text(
        "Somebody else has taken {id}.",
        "Its content was not opened and its state is unchanged.",
        "Take the next one; what is not reviewed in time comes back to the queue.",
    ),
)
REVIEW_CLOSED = define(
    "REVIEW-CLOSED",
    status=409,
    kind="invalid_request_error",
    zh=Text("{id} 已经结束：{state_zh}。", "此前的结论不变，这一次没有保存。", "请取下一件。"),
    en=Text("{id} has ended: {state_en}.", "What was decided before stays; this was not kept.", "Take the next one."),
)
REVIEW_SECOND = define(
    "REVIEW-SECOND",
    status=403,
    kind="permission_error",
    zh=Text("您已复核过 {id}，它等待第二人独立复核。", "您的结论已保存。", "请由另一位复核人员处理。"),
    en=Text(
        "You have reviewed {id}; it waits for a second person, who does not see your decision.",
        "Your decision is kept.",
        "Leave it to another reviewer.",
    ),
)
REVIEW_LEASE = define(
    "REVIEW-LEASE",
    status=409,
    kind="invalid_request_error",
    zh=Text("{id} 不在您手中，或时间已到。", "没有打开内容，也没有保存结论。", "请重新取走后再复核。"),
    en=Text(
        "{id} is not yours, or your time for it has ended.",
        "No content was opened and no decision kept.",
        "Take it again, then review it.",
    ),
)
REVIEW_INCOMPLETE = define(
    "REVIEW-INCOMPLETE",
    status=400,
    kind="invalid_request_error",
    zh=Text("结论不完整：{rule}。", "没有保存；件仍在您手中。", "请对每条规则作出判断；漏报须写明风险类别。"),
    en=Text(
        "The decision is not complete: {rule}.",
        "It was not kept; the item is still yours.",
        "Judge every rule; a missed harm needs its risk.",
    ),
)
REVIEW_QUOTE = define(
    "REVIEW-QUOTE",
    status=400,
    kind="invalid_request_error",
    zh=Text("所引文字不在显示的内容中。", "没有保存；件仍在您手中。", "请从页面上照原样复制，或留空。"),
    en=Text(
        "The words quoted stand nowhere in what is shown.",
        "The decision was not kept; the item is still yours.",
        "Copy them from the page as they stand, or leave the field empty.",
    ),
)
PROPOSAL_REFUSED = define(
    "PROPOSAL-REFUSED",
    status=400,
    kind="invalid_request_error",
    zh=Text("“{phrase}”不能作为 {rule} 的例外词。", "没有提出建议，词库不变。", "例外词须包含该词条，比它长，且尚未列为例外。"),
    en=Text(
        "'{phrase}' cannot be an exception of {rule}.",
        "Nothing was proposed; the library is unchanged.",
        "An exception holds the term, is longer than it, and is not listed yet.",
    ),
)
PROPOSAL_SETTLED = define(
    "PROPOSAL-SETTLED",
    status=409,
    kind="invalid_request_error",
    zh=Text("建议 {id} 已处理。", "此前的处理不变。", "请刷新页面。"),
    en=Text("Proposal {id} was settled before.", "That stays.", "Reload the page."),
)
