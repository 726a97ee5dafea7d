"""shown.py PAGE: whether each block in Python or TypeScript that PAGE shows is part of what runs."""

import pathlib
import re
import sys
import textwrap

FOLDER = pathlib.Path(__file__).parent
SCENARIOS = {"python": FOLDER / "scenario.py", "ts": FOLDER / "scenario.ts"}

page = pathlib.Path(sys.argv[1]).read_text()
blocks = re.findall(r"^```(python|ts)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
# Inside a function the lines are indented; on the page they are not.
parts = {
    language: [textwrap.dedent(part).strip() for part in re.split(r"\n\n+", path.read_text())]
    for language, path in SCENARIOS.items()
}
wrong = [block for language, block in blocks if block.strip() not in parts[language]]
print(f"{sys.argv[1]}: {len(blocks)} blocks of the scenarios, {len(wrong)} of them are not what runs")
missing = [language for language in SCENARIOS if language not in {language for language, _ in blocks}]
sys.exit("\n".join(wrong + [f"nothing in {language}" for language in missing]) or 0)
