"""An incident as one HTML page that needs nothing else: no script, no font, no picture, nothing from the network.

Names in it come from whoever may make a pod. So everything is escaped (jinja2's autoescape), control characters and
marks that turn the direction of text are taken out, and the page forbids itself everything but its own style.
"""

from __future__ import annotations

import base64
import functools
import hashlib
from importlib import resources
from typing import TYPE_CHECKING

import msgspec

from memguard import __version__
from memguard.cli.incident import bars, chart, words
from memguard.cli.incident.facts import facts, tiles
from memguard.cli.incident.glossary import GLOSSARY
from memguard.cli.incident.incident import Incident, explained, short
from memguard.cli.incident.moments import moments
from memguard.cli.incident.strip import strip
from memguard.cli.output import plain
from memguard.core.explain import size
from memguard.core.spelling import harmless

if TYPE_CHECKING:
    from jinja2 import Template
    from markupsafe import Markup

DIRECTORY, STYLE, TEMPLATE = "template", "style.css", "page.html"


def page(incident: Incident) -> str:
    """The whole page. Raises msgspec.ValidationError for a decision beyond the bounds of its types."""
    style, data = _style(), raw(incident)
    return _template().render(
        incident=incident,
        spec=incident.decision.spec,
        status=incident.decision.status,
        version=__version__,
        style=_own(style),
        policy=_content_security_policy(style),
        headline=words.headline(incident),
        subject=short(incident.subject),
        deed=words.deed(incident),
        verdict=words.verdict(incident),
        remark=words.remark(incident),
        tiles=tiles(incident),
        moments=moments(incident),
        around=words.around,
        charts=[chart.memory_chart(incident, width) for width in (chart.WIDE, chart.NARROW)],
        strips=[strip(incident, width) for width in (chart.WIDE, chart.NARROW)],
        factors=bars.factor_bars(incident),
        rows=bars.rows(incident),
        changes=[change.words for change in explained(incident).changes],
        facts=facts(incident),
        glossary=GLOSSARY,
        raw=data,
        download="data:application/json;base64," + base64.b64encode(data.encode()).decode(),
        file_name=f"memguard-{short(incident.decision.spec.id).replace('/', '-')}.json",
    )


def raw(incident: Incident) -> str:
    """The incident as JSON that is exact and harmless: what could play with a screen stands there as `\\u202e`."""
    return harmless(msgspec.json.format(msgspec.json.encode(incident), indent=2).decode())


def _own(text: str) -> Markup:
    """Ours, and not to be escaped."""
    from markupsafe import Markup

    return Markup(text)  # noqa: S704 - the style sheet


def _content_security_policy(style: str) -> str:
    """Nothing but this very style sheet."""
    digest = base64.b64encode(hashlib.sha256(style.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


@functools.cache
def _style() -> str:
    return resources.files(__package__).joinpath(DIRECTORY, STYLE).read_text(encoding="utf-8").strip()


@functools.cache
def _template() -> Template:
    """Imports jinja2, which nothing but a page needs."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader(__package__, DIRECTORY),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_harmless,
    )
    environment.filters.update(
        size=size, short=short, clock=words.clock, line=lambda text: " ".join(text.split()), lines=_lines
    )
    return environment.get_template(TEMPLATE)


def _harmless(value: object) -> object:
    """Every text on its way into the page, before it is escaped; what is Markup is our own."""
    return plain(value) if type(value) is str else value


def _lines(text: str) -> Markup:
    """A text of several lines, which the page keeps."""
    from markupsafe import Markup

    return Markup("\n").join(map(plain, text.split("\n")))
