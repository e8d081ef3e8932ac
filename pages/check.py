"""What must hold of the built site: no page needs another host."""

import re
from html.parser import HTMLParser
from pathlib import Path

OUTER = re.compile(r"\s*(https?:)?//")


class Loads(HTMLParser):
    """What a page loads by itself from other hosts; where its links lead is of no matter."""

    def __init__(self):
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag, attrs):
        given = {name: value or "" for name, value in attrs}
        loaded = [given.get("src", ""), *given.get("srcset", "").split(","), given.get("data", "")]
        if tag == "link" and given.get("rel") not in ("canonical", "next", "prev"):
            loaded.append(given.get("href", ""))
        self.found += [each for each in loaded if OUTER.match(each)]


def outer(path: Path) -> list[str]:
    """Addresses at other hosts that a page or a style sheet loads."""
    text = path.read_text()
    if path.suffix == ".css":
        return [each for each in re.findall(r"url\(['\"]?([^)'\"]*)", text) if OUTER.match(each)]
    page = Loads()
    page.feed(text)
    return page.found


def check(site: Path) -> list[str]:
    """A line for each page or style sheet and address that it loads from another host."""
    paths = sorted(path for path in site.rglob("*") if path.suffix in (".html", ".css"))
    return [f"{path.relative_to(site)} loads {each}" for path in paths for each in outer(path)]
