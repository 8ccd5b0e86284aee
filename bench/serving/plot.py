"""Curves over time as an SVG file, one panel above the other."""

import dataclasses
from xml.sax.saxutils import escape

WIDTH, PANEL, LEFT, TOP, GAP = 720, 180, 70, 24, 56
STEPS = 4  # of an axis


@dataclasses.dataclass(frozen=True)
class Panel:
    title: str
    values: list[float]


def svg(seconds, panels):
    """Each panel's values at these times, from zero up."""
    height = TOP + len(panels) * (PANEL + GAP)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" font-family="sans-serif" '
             f'font-size="12"><rect width="100%" height="100%" fill="white"/>']  # fmt: skip
    for index, panel in enumerate(panels):
        parts += panel_parts(seconds, panel, TOP + index * (PANEL + GAP))
    return "\n".join([*parts, "</svg>\n"])


def panel_parts(seconds, panel, top):
    most, last, width = max(panel.values) * 1.1 or 1, max(seconds[-1], 1e-9), WIDTH - LEFT - 16
    bottom = top + PANEL

    def x(time):
        return LEFT + width * time / last

    def y(value):
        return bottom - PANEL * value / most

    yield f'<text x="{LEFT}" y="{top - 8}" font-weight="bold">{escape(panel.title)}</text>'
    for step in range(STEPS + 1):
        value, time = most * step / STEPS, last * step / STEPS
        yield f'<line x1="{LEFT}" x2="{LEFT + width}" y1="{y(value):.1f}" y2="{y(value):.1f}" stroke="#ddd"/>'
        yield f'<text x="{LEFT - 6}" y="{y(value) + 4:.1f}" text-anchor="end">{value:.4g}</text>'
        yield f'<text x="{x(time):.1f}" y="{bottom + 16}" text-anchor="middle">{time / 60:.3g} min</text>'
    points = " ".join(f"{x(time):.1f},{y(value):.1f}" for time, value in zip(seconds, panel.values, strict=True))
    yield f'<polyline points="{points}" fill="none" stroke="#1f6feb" stroke-width="1.5"/>'
