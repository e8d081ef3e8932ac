"""Links of the repository's Markdown, as the site has them: written once, they work in both."""

import os.path
import re

LINK = re.compile(r"\]\(([^)\s#:]+)(#[^)\s]*)?\)")


def moved(text: str, source: str, page: str, chapters: dict[str, str]) -> str:
    """`text` of the file `source`, whose links now lead from the site's `page`.

    What is under docs/ is at the site's root, README.md its front page, results/ where it was, but
    that `chapters` are the pages of results/README.md by its anchors.
    """

    def link(found: re.Match[str]) -> str:
        path, anchor = found[1], found[2] or ""
        target = os.path.normpath(os.path.join(os.path.dirname(source), path))
        if target == "results/README.md":
            target, anchor = chapters.get(anchor[1:], "chapters/index.md"), ""
        target = "index.md" if target == "README.md" else target.removeprefix("docs/")
        return f"]({os.path.relpath(target, os.path.dirname(page) or '.')}{anchor})"

    return LINK.sub(link, text)
