"""The picture of one run: what happened in each second, and who was killed when.

    picture.py FIGURES.json > PICTURE.svg"""

import json
import sys

sys.path.append(__file__.rsplit("/tests/", 1)[0] + "/bench")

from pictures import COLOURS, LEFT, RIGHT, TOP, WIDTH, Picture, number, steps  # noqa: E402

LINES = {"requests": "requests per second", "created": "orders created",
         "retries": "creations sent again", "replays": "answers replayed"}
PANEL, GAP, ROW = 84, 26, 18


def draw(figures):
    timeline = figures["timeline"]
    victims = sorted({what for _, what in timeline["events"]}, key=str.lower)
    height = TOP + len(LINES) * (PANEL + GAP) + len(victims) * ROW + 36
    title = (f"{figures['requests']:,} requests, {sum(figures['kills'].values())} strokes, {figures['retries']:,} retries, "
             f"{figures['replays']:,} replays, {figures['violations']} violations")
    picture = Picture(title, [], height)
    seconds = len(timeline["requests"])
    across = (WIDTH - LEFT - RIGHT) / seconds
    y = TOP - 10
    for (name, label), colour in zip(LINES.items(), COLOURS):
        panel(picture, y, label, timeline[name], across, colour)
        y += PANEL + GAP
    for victim in victims:
        picture.text(LEFT - 8, y + 4, victim, "end")
        picture.rule(LEFT, y, WIDTH - RIGHT, y)
        for at_s, what in timeline["events"]:
            if what == victim:
                picture.add("circle", cx=f"{LEFT + at_s * across:.1f}", cy=y, r=3.5, fill=COLOURS[0])
        y += ROW
    for at_s in range(0, seconds + 1, max(10, seconds // 100 * 10)):
        picture.text(LEFT + at_s * across, y + 8, f"{at_s} s", "middle")
    return picture.svg()


def panel(picture, top, label, values, across, colour):
    """One line over the seconds, with its own scale."""
    marks = steps(max(values))[:: max(1, len(steps(max(values))) // 3)]
    up = PANEL / max(max(values), 1)
    picture.text(LEFT, top - 3, label)
    for mark in marks:
        if mark <= max(values):
            picture.rule(LEFT, top + PANEL - mark * up, WIDTH - RIGHT, top + PANEL - mark * up)
            picture.text(LEFT - 8, top + PANEL - mark * up + 4, number(mark) if mark else "0", "end")
    points = " ".join(f"{LEFT + (second + 0.5) * across:.1f},{top + PANEL - value * up:.1f}"
                      for second, value in enumerate(values))
    picture.add("polyline", points=points, fill="none", stroke=colour, stroke_width=1.2)


if __name__ == "__main__":
    with open(sys.argv[1]) as file:
        sys.stdout.write(draw(json.load(file)))
