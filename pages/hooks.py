"""What MkDocs calls while it builds the site."""

from pathlib import Path
from typing import Any

from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files

from pages import api
from pages.check import check


def on_config(config: Any) -> Any:
    for entry in config.nav:
        if "API" in entry:
            entry["API"] = api.nav()
    return config


def on_files(files: Files, config: Any) -> Files:
    for uri, text in (api.pages() | {"index.md": "# dljax\n"}).items():
        files.append(File.generated(config, uri, content=text))
    return files


def on_post_build(config: Any) -> None:
    if wrong := check(Path(config.site_dir)):
        raise PluginError("\n".join(wrong))
