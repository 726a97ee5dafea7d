"""answers.py FILE: shows how the service answered schemathesis; fails if that was too little.

A run that never gets an order created would pass every check, so each operation must have
succeeded many times, and the whole run must be large enough.
"""

import collections
import json
import pathlib
import sys

EXAMPLES_MIN = 2000
SUCCESSES_MIN = 20

answers = json.loads(pathlib.Path(sys.argv[1]).read_text())
by_operation = collections.defaultdict(dict)
for answer in answers:
    by_operation[answer["operation"]][answer["status"]] = answer["count"]

total = sum(answer["count"] for answer in answers)
failures = []
for operation, counts in by_operation.items():
    listed = "  ".join(f"{status}: {count}" for status, count in counts.items())
    print(f"  {operation:34} {listed}")
    if sum(count for status, count in counts.items() if 200 <= status < 300) < SUCCESSES_MIN:
        failures.append(f"{operation} hardly ever succeeded")
if total < EXAMPLES_MIN:
    failures.append(f"{total} examples are too few")
print(f"{total} requests, {len(by_operation)} operations")
sys.exit("\n".join(failures) or 0)
