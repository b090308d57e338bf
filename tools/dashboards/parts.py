"""What all dashboards are made of: variables, links, and five kinds of panels."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from grafana_foundation_sdk.builders import bargauge, common, heatmap, prometheus, stat, table, timeseries
from grafana_foundation_sdk.builders import dashboard as grafana
from grafana_foundation_sdk.models import common as looks
from grafana_foundation_sdk.models import dashboard as model
from grafana_foundation_sdk.models.heatmap import HeatmapColorMode
from grafana_foundation_sdk.models.prometheus import PromQueryFormat
from tools.dashboards.colours import GREEN, GREY, LEAST, SERIES, Steps, Words
from tools.dashboards.promql import Query

TAG = "memguard"
DATASOURCE = model.DataSourceRef(type_val="prometheus", uid="${datasource}")
ROW_HEIGHT, FIGURE_HEIGHT = 8, 4

Panel = timeseries.Panel | stat.Panel | table.Panel | bargauge.Panel | heatmap.Panel
P = TypeVar("P", timeseries.Panel, stat.Panel, table.Panel, bargauge.Panel, heatmap.Panel)


class Column(NamedTuple):
    """One column of a table: an expression whose labels are the rows', and how its value is shown."""

    title: str
    expression: str
    unit: str = "short"
    steps: Steps = ()
    words: Words = {}
    decimals: int | None = None


class Row(NamedTuple):
    """A headline and what stands under it."""

    title: str
    panels: Sequence[Panel]


def dashboard(
    title: str,
    uid: str,
    description: str,
    rows: Iterable[Row],
    *variables: grafana.QueryVariable,
    since: str = "now-6h",
) -> grafana.Dashboard:
    """A dashboard with the variables that all have, and links to the others."""
    made = (
        grafana.Dashboard(f"memguard / {title}")
        .uid(uid)
        .description(description)
        .tags([TAG])
        .time(since, "now")
        .refresh("1m")
        .timezone("browser")
        .tooltip(model.DashboardCursorSync.CROSSHAIR)
        .link(_link())
        .with_variable(_datasource())
        .with_variable(variable("cluster", "memguard_build_info", "Cluster", several=True))
    )
    for one in variables:
        made.with_variable(one)
    number = 0
    for row in rows:
        made.with_row(grafana.Row(row.title))
        for panel in row.panels:
            number += 1
            made.with_panel(panel.id(number))
    return made


def variable(name: str, metric: str, label: str, *, several: bool = False) -> grafana.QueryVariable:
    """The values of a label of the same name; All is also who does not have it."""
    scope = "" if name == "cluster" else '{cluster=~"$cluster"}'
    made = (
        grafana.QueryVariable(name)
        .label(label)
        .datasource(DATASOURCE)
        .query(f"label_values({metric}{scope}, {name})")
        .regex("/.+/")
        .refresh(model.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(model.VariableSort.ALPHABETICAL_ASC)
    )
    if several:
        everything = model.VariableOption(selected=True, text="All", value="$__all")
        made.multi(True).include_all(True).all_value(".*").current(everything)
    return made


def _datasource() -> grafana.DatasourceVariable:
    return grafana.DatasourceVariable("datasource").label("Data source").type("prometheus")


def _link() -> grafana.DashboardLink:
    return (
        grafana.DashboardLink("memguard")
        .type(model.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(True)
        .include_vars(True)
        .keep_time(True)
    )


# --- panels


def figure(
    title: str,
    description: str,
    expression: str,
    *,
    unit: str = "short",
    steps: Steps = (),
    words: Words | None = None,
    none: str = "-",
    width: int = 3,
    decimals: int | None = None,
) -> stat.Panel:
    """One number, now; `words` for its values, `none` where there is none."""
    last = common.ReduceDataOptions().calcs(["lastNotNull"]).values(False)
    made = _panel(stat.Panel(), title, description, width=width, height=FIGURE_HEIGHT, unit=unit).no_value(none)
    made.with_target(_query("A", Query(expression), instant=True)).reduce_options(last)
    made.graph_mode(looks.BigValueGraphMode.NONE).color_mode(looks.BigValueColorMode.VALUE)
    made.thresholds(_thresholds(steps)).color_scheme(_by(model.FieldColorModeId.THRESHOLDS))
    if words:
        made.mappings([_words(words)])
    return made if decimals is None else made.decimals(decimals)


def count(title: str, description: str, expression: str, *, steps: Steps = (), width: int = 3) -> stat.Panel:
    """How often something happened: `increase` says 2.97 of 3 times."""
    return figure(title, description, expression, steps=steps, width=width, decimals=0)


def graph(
    title: str,
    description: str,
    *queries: Query,
    unit: str = "short",
    width: int = 8,
    steps: Steps = (),
    stacked: bool = False,
    bars: bool = False,
    logarithmic: bool = False,
    minimum: float | None = 0,
) -> timeseries.Panel:
    """Lines over time, or stacked areas, or bars; `steps` are drawn as dashed lines."""
    made = _panel(timeseries.Panel(), title, description, width=width, height=ROW_HEIGHT, unit=unit)
    for ref, query in zip("ABCDEFGH", queries, strict=False):
        made.with_target(_query(ref, query))
    made.legend(_legend()).tooltip(common.VizTooltipOptions().mode(looks.TooltipDisplayMode.MULTI))
    made.draw_style(looks.GraphDrawStyle.BARS if bars else looks.GraphDrawStyle.LINE)
    made.line_width(1).fill_opacity(60 if bars else 30 if stacked else 8)
    made.color_scheme(_by(model.FieldColorModeId.PALETTE_CLASSIC_BY_NAME))
    if stacked or bars:
        made.stacking(common.StackingConfig().mode(looks.StackingMode.NORMAL).group("A"))
    if logarithmic:
        made.scale_distribution(common.ScaleDistributionConfig().type(looks.ScaleDistribution.LOG).log(10))
    elif minimum is not None:
        made.min(minimum)
    if steps:
        made.thresholds(_thresholds(steps))
        made.thresholds_style(common.GraphThresholdsStyleConfig().mode(looks.GraphTresholdsStyleMode.DASHED))
    for query in queries:
        for name, colour in SERIES.get(query.legend, {}).items():
            made.override_by_name(name, [_value("color", {"mode": "fixed", "fixedColor": colour})])
    return made


def ranked(
    title: str,
    description: str,
    query: Query,
    *,
    unit: str = "short",
    width: int = 8,
    steps: Steps = (),
    decimals: int | None = None,
) -> bargauge.Panel:
    """A bar for each series, now."""
    made = _panel(bargauge.Panel(), title, description, width=width, height=ROW_HEIGHT, unit=unit).no_value("-")
    made.with_target(_query("A", query, instant=True))
    made.reduce_options(common.ReduceDataOptions().calcs(["lastNotNull"]).values(False))
    made.orientation(looks.VizOrientation.HORIZONTAL).display_mode(looks.BarGaugeDisplayMode.BASIC)
    made.thresholds(_thresholds(steps)).color_scheme(_by(model.FieldColorModeId.THRESHOLDS))
    return made if decimals is None else made.decimals(decimals)


def heat(title: str, description: str, query: Query, *, unit: str = "s", width: int = 12) -> heatmap.Panel:
    """The buckets of a histogram over time, with the exemplars that name single events."""
    made = _panel(heatmap.Panel(), title, description, width=width, height=ROW_HEIGHT, unit=unit)
    made.with_target(_query("A", query, form=PromQueryFormat.HEATMAP).exemplar(True))
    made.y_axis(heatmap.YAxisConfig().unit(unit)).cell_gap(1).show_tooltip()
    return made.color(heatmap.HeatmapColorOptions().mode(HeatmapColorMode.SCHEME).scheme("Oranges").steps(32))


def rows_of(
    title: str,
    description: str,
    keys: Mapping[str, str],
    *columns: Column,
    width: int = 24,
    link: tuple[str, str] = ("", ""),
) -> table.Panel:
    """A table, now: its rows by their labels (`keys`, with their headings), a column for each expression.

    `link`: the heading whose cells lead somewhere, and where.
    """
    made = _panel(table.Panel(), title, description, width=width, height=ROW_HEIGHT, unit="short").no_value("")
    for ref, column in zip("ABCDEFGH", columns, strict=False):
        made.with_target(_query(ref, Query(column.expression), instant=True, form=PromQueryFormat.TABLE))
        made.override_by_name(column.title, _cell(column))
    if link[0]:
        made.override_by_name(link[0], [_value("links", [{"title": "Look at it", "url": link[1]}])])
    values = [f"Value #{ref}" if len(columns) > 1 else "Value" for ref, _ in zip("ABCDEFGH", columns, strict=False)]
    names = dict(keys) | dict(zip(values, (column.title for column in columns), strict=True))
    order = {name: number for number, name in enumerate(names)}
    made.with_transformation(model.DataTransformerConfig(id_val="merge", options={}))
    options = {"excludeByName": {"Time": True}, "renameByName": names, "indexByName": order}
    return made.with_transformation(model.DataTransformerConfig(id_val="organize", options=options))


# --- their parts


def _panel(made: P, title: str, description: str, *, width: int, height: int, unit: str) -> P:
    return made.title(title).description(description).datasource(DATASOURCE).span(width).height(height).unit(unit)


def _query(
    ref: str, query: Query, *, instant: bool = False, form: PromQueryFormat = PromQueryFormat.TIME_SERIES
) -> prometheus.Dataquery:
    made = prometheus.Dataquery().ref_id(ref).datasource(DATASOURCE).expr(query.expression)
    made.legend_format(query.legend or "__auto").format(form)
    return made.instant() if instant else made.range()


def _legend() -> common.VizLegendOptions:
    shown = common.VizLegendOptions().display_mode(looks.LegendDisplayMode.LIST).show_legend(True)
    return shown.placement(looks.LegendPlacement.BOTTOM)


def _by(mode: model.FieldColorModeId) -> grafana.FieldColor:
    return grafana.FieldColor().mode(mode)


def _thresholds(steps: Steps) -> grafana.ThresholdsConfig:
    """Colours from a value on; what is below the first is green, or plain where there is none."""
    if steps and steps[0][0] == LEAST:
        first, steps = steps[0][1], steps[1:]
    else:
        first = GREEN if steps else GREY
    found = [model.Threshold(color=first), *(model.Threshold(value=value, color=colour) for value, colour in steps)]
    return grafana.ThresholdsConfig().mode(model.ThresholdsMode.ABSOLUTE).steps(found)


def _words(words: Words) -> model.ValueMap:
    return model.ValueMap(
        options={
            f"{value:g}": model.ValueMappingResult(text=text, color=colour) for value, (text, colour) in words.items()
        }
    )


def _cell(column: Column) -> list[model.DynamicConfigValue]:
    found = [_value("unit", column.unit)]
    if column.decimals is not None:
        found.append(_value("decimals", column.decimals))
    if column.words:
        found.append(_value("mappings", [_words(column.words)]))
    if column.steps:
        found.append(_value("thresholds", _thresholds(column.steps).build()))
    if column.words or column.steps:
        found.append(_value("custom.cellOptions", {"type": "color-text"}))
    return found


def _value(name: str, value: object) -> model.DynamicConfigValue:
    return model.DynamicConfigValue(id_val=name, value=value)
