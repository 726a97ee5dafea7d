"""Pictures as SVG: the same figures always give the same bytes."""

import math
from html import escape

COLOURS = ["#b7410e", "#1f5f8b", "#4c7a34", "#8a6d1d", "#6b4a8a"]
WIDTH, LEFT, RIGHT, TOP = 760, 130, 20, 56


class Picture:
    def __init__(self, title: str, series: list[str], height: int):
        self.height, self.parts = height, []
        self.text(LEFT - 110, 22, title, size=15)
        at = LEFT - 110
        for name, colour in zip(series, COLOURS):
            self.add("rect", x=at, y=34, width=10, height=10, fill=colour)
            self.text(at + 15, 43, name)
            at += 30 + 7 * len(name)

    def add(self, tag: str, **attributes) -> None:
        self.parts.append(f"<{tag} " + " ".join(f'{name.replace("_", "-")}="{value}"'
                                               for name, value in attributes.items()) + "/>")

    def text(self, x: float, y: float, text: str, anchor: str = "start", size: int = 12) -> None:
        self.parts.append(f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-size="{size}">{escape(text)}</text>')

    def rule(self, x1: float, y1: float, x2: float, y2: float) -> None:
        self.add("line", x1=f"{x1:.1f}", y1=f"{y1:.1f}", x2=f"{x2:.1f}", y2=f"{y2:.1f}", stroke="#ddd")

    def svg(self) -> str:
        head = (f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {self.height}" '
                'font-family="sans-serif" fill="#222">\n<rect width="100%" height="100%" fill="#fff"/>\n')
        return head + "\n".join(self.parts) + "\n</svg>\n"


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 10 else f"{value:.2g}"


def steps(highest: float) -> list[float]:
    """Round numbers from nought to just above the highest."""
    highest = max(highest, 1e-9)
    unit = 10 ** math.floor(math.log10(highest))
    size = next(unit * part for part in (0.25, 0.5, 1, 2) if highest / (unit * part) <= 6)
    return [size * count for count in range(math.ceil(highest / size) + 1)]


def dots(title: str, rows: dict[str, dict[str, float]], series: list[str]) -> str:
    """One row of dots on a logarithmic scale for each key."""
    picture = Picture(title, series, TOP + len(rows) * 28 + 28)
    values = [value for row in rows.values() for value in row.values() if value > 0]
    low, high = math.floor(math.log10(min(values))), math.ceil(math.log10(max(values)))
    across = (WIDTH - LEFT - RIGHT - 20) / max(high - low, 1)
    for power in range(low, high + 1):
        x = LEFT + (power - low) * across
        picture.rule(x, TOP, x, picture.height - 22)
        picture.text(x, picture.height - 8, number(10 ** power), "middle")
    for position, (name, row) in enumerate(rows.items()):
        y = TOP + 14 + position * 28
        picture.text(LEFT - 8, y + 4, name, "end")
        picture.rule(LEFT, y, WIDTH - RIGHT, y)
        for one, colour in zip(series, COLOURS):
            if row.get(one):
                picture.add("circle", cx=f"{LEFT + (math.log10(row[one]) - low) * across:.1f}", cy=y, r=6, fill=colour)
    return picture.svg()


def lines(title: str, labels: list, rows: dict[str, list[float]]) -> str:
    """One line for each key, from nought, over labels at equal distances."""
    picture = Picture(title, list(rows), 320)
    bottom, marks = picture.height - 30, steps(max(max(values) for values in rows.values()))
    up, across = (bottom - TOP) / marks[-1], (WIDTH - LEFT - RIGHT) / max(len(labels) - 1, 1)
    for mark in marks:
        picture.rule(LEFT, bottom - mark * up, WIDTH - RIGHT, bottom - mark * up)
        picture.text(LEFT - 8, bottom - mark * up + 4, number(mark), "end")
    every = math.ceil(len(labels) / 12)
    for position in range(0, len(labels), every):
        picture.text(LEFT + position * across, picture.height - 10, str(labels[position]), "middle")
    for values, colour in zip(rows.values(), COLOURS):
        points = " ".join(f"{LEFT + position * across:.1f},{bottom - value * up:.1f}" for position, value in enumerate(values))
        picture.add("polyline", points=points, fill="none", stroke=colour, stroke_width=2)
    return picture.svg()
