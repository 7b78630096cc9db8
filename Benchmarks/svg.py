"""A small writer of charts: panels of points on two logarithmic axes, as one SVG that needs nothing beside it."""

import collections
import html
import math

WIDTH, HEIGHT = 470, 380
LEFT, RIGHT, TOP, BOTTOM = 84, 30, 62, 56
STYLE = """
  text { font: 12px system-ui, -apple-system, "Segoe UI", sans-serif; fill: #24292f; }
  .title { font-size: 14px; font-weight: 600; }
  .note, .tick { fill: #57606a; }
  .value { font-size: 11px; paint-order: stroke; stroke: #ffffff; stroke-width: 3px; }
  .grid { stroke: #eaeef2; }
  .frame { fill: none; stroke: #8c959f; }
  .line { fill: none; stroke: #0969da; stroke-width: 1.5; }
  .dot { fill: #0969da; }
  .proportional { stroke: #8c959f; stroke-width: 1.5; stroke-dasharray: 6 4; }
"""

# `points` are (x, y); `x_ticks` are (x, text), or None for 1, 2 and 5 times powers of ten; the two functions give the
# text of a number on their axis.
Panel = collections.namedtuple("Panel", "title note x_label y_label points x_ticks x_text y_text")


def chart(panels):
    """The SVG of panels side by side."""
    width = WIDTH * len(panels)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{HEIGHT}" viewBox="0 0 {width} {HEIGHT}">',
        f"<style>{STYLE}</style>",
        '<rect width="100%" height="100%" fill="#ffffff"/>',
    ]
    for index, panel in enumerate(panels):
        parts += [f'<g transform="translate({index * WIDTH} 0)">', *draw(panel), "</g>"]
    return "\n".join([*parts, "</svg>\n"])


def draw(panel):
    """The elements of one panel."""
    xs, ys = (list(values) for values in zip(*panel.points))
    x_axis, y_axis = Axis(xs, LEFT, WIDTH - RIGHT), Axis(ys, HEIGHT - BOTTOM, TOP)
    yield text(LEFT, 24, panel.title, "title")
    yield text(LEFT, 44, panel.note, "note")
    yield from grid(panel, x_axis, y_axis)
    yield from proportional(panel.points, x_axis, y_axis)
    yield from curve(panel, x_axis, y_axis)
    yield text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, panel.x_label, "", "middle")
    middle = (TOP + HEIGHT - BOTTOM) / 2
    yield text(0, 0, panel.y_label, "", "middle", f'transform="translate(16 {middle}) rotate(-90)"')


class Axis:
    """Places numbers between two coordinates by their logarithm, with some room at both ends."""

    ROOM = 0.07

    def __init__(self, values, start, end):
        low, high = math.log10(min(values)), math.log10(max(values))
        room = self.ROOM * max(high - low, 0.5)
        self.low, self.high, self.start, self.end = low - room, high + room, start, end

    def place(self, value):
        """The coordinate of a number."""
        return self.start + (math.log10(value) - self.low) / (self.high - self.low) * (self.end - self.start)

    def ticks(self):
        """Powers of ten, and 2 and 5 times them where there are few."""
        factors = (1,) if self.high - self.low > 2.5 else (1, 2, 5)
        powers = range(math.floor(self.low), math.ceil(self.high) + 1)
        values = [factor * 10.0**power for power in powers for factor in factors]
        return [value for value in values if self.low <= math.log10(value) <= self.high]


def grid(panel, x_axis, y_axis):
    """Lines and their numbers, and the frame."""
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    for value, name in panel.x_ticks or [(value, panel.x_text(value)) for value in x_axis.ticks()]:
        x = round(x_axis.place(value), 1)
        yield f'<line class="grid" x1="{x}" y1="{TOP}" x2="{x}" y2="{bottom}"/>'
        yield text(x, bottom + 18, name, "tick", "middle")
    for value in y_axis.ticks():
        y = round(y_axis.place(value), 1)
        yield f'<line class="grid" x1="{LEFT}" y1="{y}" x2="{right}" y2="{y}"/>'
        yield text(LEFT - 8, y + 4, panel.y_text(value), "tick", "end")
    yield f'<rect class="frame" x="{LEFT}" y="{TOP}" width="{right - LEFT}" height="{bottom - TOP}"/>'


def proportional(points, x_axis, y_axis):
    """The dashed line of exponent 1 through the middle of the points, as far as it lies in the frame."""
    offset = sum(math.log10(y) - math.log10(x) for x, y in points) / len(points)
    low, high = max(x_axis.low, y_axis.low - offset), min(x_axis.high, y_axis.high - offset)
    (x1, y1), (x2, y2) = ((x_axis.place(10**power), y_axis.place(10 ** (power + offset))) for power in (low, high))
    yield f'<line class="proportional" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def curve(panel, x_axis, y_axis):
    """The points, what joins them, and their values: below on the right, at the last on the left."""
    places = [(x_axis.place(x), y_axis.place(y)) for x, y in panel.points]
    yield '<polyline class="line" points="' + " ".join(f"{x:.1f},{y:.1f}" for x, y in places) + '"/>'
    for index, ((x, y), (_, value)) in enumerate(zip(places, panel.points)):
        yield f'<circle class="dot" cx="{x:.1f}" cy="{y:.1f}" r="3.5"/>'
        right, down, anchor = (-9, 1, "end") if index == len(places) - 1 else (7, 15, "start")
        yield text(x + right, y + down, panel.y_text(value), "value", anchor)


def text(x, y, content, name, anchor="start", more=""):
    """A text element."""
    words = html.escape(content)
    return f'<text class="{name}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" {more}>{words}</text>'
