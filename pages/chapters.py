"""A page for each chapter of results/README.md, as `python -m experiments.table` wrote it."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]
SOURCE = "results/README.md"


def parts() -> tuple[str, dict[str, str]]:
    """What stands before the chapters, and each chapter's text by its title."""
    text = re.sub(r"<!--.*?-->\n+", "", (ROOT / SOURCE).read_text())
    first, *rest = re.split(r"^## (.+)\n", text, flags=re.M)
    return first, dict(zip(rest[::2], rest[1::2], strict=True))


def address(title: str) -> str:
    return f"chapters/{anchor(title)}.md"


def anchor(title: str) -> str:
    return title.lower().replace(" ", "-")


def addresses() -> dict[str, str]:
    """The page of each chapter, by the anchor that it has in results/README.md."""
    return {anchor(title): address(title) for title in parts()[1]}


def pages() -> dict[str, str]:
    first, found = parts()
    about = {title: text.strip().partition("\n")[0] for title, text in found.items()}
    lines = [f"- [{title}](README.md#{anchor(title)}): {line}" for title, line in about.items()]
    made = {address(t): f"# {t}\n{re.sub('^###', '##', x, flags=re.M)}" for t, x in found.items()}
    return {"chapters/index.md": "\n".join([first, *lines, ""]), **made}


def files() -> list[Path]:
    """Results and figures, to which the chapters lead."""
    found = sorted((ROOT / "results").rglob("*.*"))
    return [path for path in found if path.suffix in (".json", ".png", ".gif")]
