"""What docs/reliability.md says of the run is what was kept of it."""

import json
import unittest

from picture import draw
from report import KEPT, PAGE, PICTURE, page


class ReportTest(unittest.TestCase):
    def test_the_page_and_the_picture_are_those_of_the_figures(self):
        figures = json.loads(KEPT.read_text())

        self.assertEqual(page(PAGE.read_text(), figures), PAGE.read_text())
        self.assertEqual(draw(figures), PICTURE.read_text())

    def test_the_run_that_is_shown_was_a_hard_one_without_violations(self):
        figures = json.loads(KEPT.read_text())

        self.assertGreaterEqual(figures["kills"]["host killed"], 20)
        self.assertGreaterEqual(figures["kills"]["Postgres killed"], 5)
        self.assertEqual(figures["violations"], 0)


if __name__ == "__main__":
    unittest.main()
