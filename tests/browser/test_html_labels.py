"""What guiju takes for a label in a page is what a browser takes for one, and a written label stands in the head.

The pages are put together at random from the pieces that change how HTML is read: that is where two readers part.
"""

import random

from playwright.sync_api import Browser

from guiju.core.errors import GuijuError
from guiju.labelling.containers.html import examine
from guiju.labelling.containers.source import Broken, Source
from guiju.labelling.containers.tests.samples import LABEL
from guiju.labelling.files import write

META = '<meta name="AIGC" content="{}">'
PIECES = [
    *("<!--", "-->", "--!>", "<!-->", "<!--->", "<!", "<?", "</", "<", ">", "/", "=", '"', "'", "\n", "text ", "&quot;"),
    *("<script>", "</script>", "<style>", "</style>", "<title>", "</title>", "<textarea>", "</textarea>", "<xmp>", "</xmp>"),
    *(
        "<iframe>",
        "</iframe>",
        "<noscript>",
        "</noscript>",
        "<template>",
        "</template>",
        "<plaintext>",
        "<body>",
        "<html>",
        "<head>",
        "</head>",
    ),
    *(
        "<svg>",
        "</svg>",
        "<math>",
        "</math>",
        "<foreignObject>",
        "</foreignObject>",
        "<desc>",
        "<mi>",
        "<annotation-xml>",
        "<annotation-xml encoding='text/html'>",
        "<![CDATA[",
        "]]>",
        "<svg x=/>",
        "<path/>",
    ),
    *("<p ", "</p>", "x=", "<b>", '<div title="', "<a href=", "<link rel=x>", "<base>"),
    *(META, META, META, "<META NAME=aigc CONTENT=x>", "<meta name='AIGC'content='x'>", "<meta name=AIGC/>"),
]
COUNTED = """pages => pages.map(page => {
    const read = new DOMParser().parseFromString(page, 'text/html');
    const labels = part => [...part.querySelectorAll('meta')].filter(each => (each.getAttribute('name') || '').trim().toLowerCase() === 'aigc');
    const below = part => labels(part).length + [...part.querySelectorAll('template')].reduce((sum, each) => sum + (each.content ? below(each.content) : 0), 0);
    return [below(read), labels(read.head).length];
})"""


def test_guiju_and_a_browser_see_the_same_labels(browser: Browser) -> None:
    chance = random.Random(45438)
    pages = ["<!DOCTYPE html>" + "".join(chance.choice(PIECES) for _ in range(chance.randint(1, 12))) for _ in range(4000)]
    told = []
    for page in pages:
        try:
            told.append((page, len(examine(Source(page.encode())).sites)))
        except Broken:
            continue  # cannot be told, and says so
    opened = browser.new_page()
    counted = opened.evaluate(COUNTED, [page for page, _ in told])
    assert len(told) > 1000
    assert [(page, ours, theirs) for (page, ours), (theirs, _) in zip(told, counted, strict=True) if ours != theirs] == []
    written = [found for page, _ in told if (found := _written(page))]
    counted = opened.evaluate(COUNTED, written)
    assert len(written) > 1000
    assert [(page, found) for page, found in zip(written, counted, strict=True) if found != [1, 1]] == []
    opened.close()


def _written(page: str) -> str:
    try:
        return write(page.encode(), LABEL, replace=True).decode()
    except GuijuError:
        return ""
