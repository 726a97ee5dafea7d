"""One run of wrk with bench/load.lua."""

import json
import os
import subprocess
from pathlib import Path

SCRIPT = Path(__file__).with_name("load.lua")


def load(address: str, path: str = "/", *, seconds: int, connections: int, mode: str = "get", **settings) -> dict:
    """requests, rps, p50_ms, p99_ms, errors, statuses and seconds (with count=1) of one run."""
    environment = os.environ | {"BENCH_MODE": mode}
    environment |= {f"BENCH_{name.upper()}": str(value) for name, value in settings.items()}
    # One thread feeds more than two cores can serve, and takes less from them than two.
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout=10s", f"-s{SCRIPT}",
               f"http://{address}{path}"]
    output = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    lines = [line for line in output.splitlines() if line.startswith("RESULT ")]
    if not lines:
        raise RuntimeError(f"wrk: {output}")
    return json.loads(lines[-1].removeprefix("RESULT "))
