"""The page's template: the default one, or a shop's own in a sandbox; what is wrong with such a one, in words."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Final

from jinja2 import DictLoader, StrictUndefined, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment
from markupsafe import Markup

from waitroom.static_files import static_path

from .pieces import NONCE, SCRIPT, STYLE

if TYPE_CHECKING:
    from jinja2 import Template

DEFAULT: Final = "page.html"
"""The name under which a shop's own template may extend the default one."""
FIXED: Final = {
    "nonce": NONCE,
    "style": Markup(f'<style nonce="{NONCE}{STYLE}'),  # noqa: S704  # marks of ours
}
"""Variables that are the same in every page."""


class TemplateBroken(Exception):
    """A shop's own template cannot be used; the text says why."""


@cache
def _environment() -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        loader=DictLoader({DEFAULT: static_path("waiting/page.html").read_text(encoding="utf-8")}),
    )


def script_elements(data: str) -> Markup:
    """Return the page's data, JSON in which nothing ends a script, and its script."""
    return Markup(  # noqa: S704
        f'<script type="application/json" id="data">{data}</script><script nonce="{NONCE}{SCRIPT}'
    )


def default_template() -> Template:
    """Return the template of the default page."""
    return _environment().get_template(DEFAULT)


def own_template(source: str) -> Template:
    """Return a shop's own template; raises `TemplateBroken`."""
    try:
        return _environment().from_string(source)
    except TemplateError as error:
        raise TemplateBroken(in_words(error)) from None


def in_words(error: Exception) -> str:
    """Return what is wrong with a template, with its line where that is known."""
    line = getattr(error, "lineno", None)
    if line is None:
        at, trace = None, error.__traceback__
        while trace is not None:
            if trace.tb_frame.f_code.co_filename == "<template>":
                at = trace.tb_lineno
            trace = trace.tb_next
        line = at
    return f"line {line}: {error}" if line else str(error)
