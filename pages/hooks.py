"""What MkDocs calls while it builds the site."""

import re
import tempfile
from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from pages import api, chapters, tutorials
from pages.check import check
from pages.links import moved

ROOT = Path(__file__).parents[1]
TEMPLATE = re.compile(r"^\[docs/\S+\.py\]\((\S+)\)$", re.M)
SHOWN: dict[str, list[tutorials.Shown]] = {}


def on_config(config: Any) -> Any:
    guide = [path.relative_to(ROOT / "docs").as_posix() for path in ROOT.glob("docs/guide/*.md")]
    results = ["chapters/index.md", *chapters.addresses().values()]
    made = {"Guide": sorted(guide), "Results": results, "API": api.nav()}
    config.nav = [{t: made.get(t, given) for t, given in each.items()} for each in config.nav]
    return config


def on_files(files: Files, config: Any) -> Files:
    def add(uri: str, **content: Any) -> None:
        files.append(File.generated(config, uri, **content))

    for uri, text in (api.pages() | chapters.pages()).items():
        add(uri, content=text)
    add("index.md", abs_src_path=str(ROOT / "README.md"))
    for path in chapters.files():
        add(path.relative_to(ROOT).as_posix(), abs_src_path=str(path))
    for source in tutorials.TUTORIALS:
        text = (ROOT / source).read_text()
        add(f"tutorials/{Path(source).stem}.ipynb", content=tutorials.notebook(text))
    drawn = Path(tempfile.mkdtemp())
    SHOWN.update(tutorials.all_shown(drawn))
    for path in drawn.iterdir():
        add(f"tutorials/{path.name}", abs_src_path=str(path))
    return files


def on_page_markdown(markdown: str, page: Page, config: Any, files: Files) -> str:
    uri = page.file.src_uri
    if page.parent is None:  # it has no sisters to lead to
        page.meta["hide"] = ["navigation"]
    source = {"index.md": "README.md"}.get(uri, f"docs/{uri}")
    if uri.startswith("chapters/"):
        source = chapters.SOURCE
    if source in SHOWN:
        markdown = tutorials.page(markdown, SHOWN[source])
    if source in tutorials.TUTORIALS:
        markdown += (
            f"\n[This page as a notebook]({Path(uri).stem}.ipynb){{ .md-button download }}\n"
        )
    markdown = TEMPLATE.sub(lambda found: with_code(found, source), markdown)
    return moved(markdown, source, uri, chapters.addresses())


def with_code(found: re.Match[str], source: str) -> str:
    """A link to a template, and what it says."""
    code = (ROOT / source).parent.joinpath(found[1]).read_text()
    return f"{found[0]}\n\n```python\n{code}```"


def on_post_build(config: Any) -> None:
    if wrong := check(Path(config.site_dir)):
        raise PluginError("\n".join(wrong))
