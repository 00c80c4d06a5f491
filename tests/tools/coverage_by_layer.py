# SPDX-License-Identifier: GPL-3.0-or-later
"""Print the coverage of each layer, lines and branches together, and fail where it has become less.

``tests/coverage.yml`` has what each layer had. ``--write`` puts today's figures there.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
RECORD = ROOT / "tests" / "coverage.yml"
HEADER = "---\n# Coverage of each layer in percent, lines and branches; `make coverage-write` writes it.\n"
# Runs differ by what happens to coincide in time: by so many percent, and in a small layer by so many lines.
TOLERANCE = 0.5
TOLERATED_LINES = 4


def layer_of(path: str) -> str:
    """The layer of a file: a package of module_utils, a kind of plugin, or a package of the simulator."""
    parts = Path(path).with_suffix("").parts
    if "ecs_simulator" in parts:
        return "/".join(parts[parts.index("ecs_simulator") :][:2])
    within = parts[parts.index("plugins") + 1 :]
    return "/".join(within[: 2 if within[0] == "module_utils" else 1])


def measure() -> tuple[dict[str, float], dict[str, int]]:
    """The percentage of each layer, and how many lines and branches it has, from the combined data."""
    command = [sys.executable, "-m", "coverage", "json", "-q", "-o", "-"]
    answer = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
    covered: dict[str, int] = defaultdict(int)
    there: dict[str, int] = defaultdict(int)
    for path, file in json.loads(answer.stdout)["files"].items():
        summary, layer = file["summary"], layer_of(path)
        covered[layer] += summary["covered_lines"] + summary["covered_branches"]
        there[layer] += summary["num_statements"] + summary["num_branches"]
    sizes = {layer: there[layer] for layer in sorted(there) if there[layer]}
    return {layer: round(100 * covered[layer] / size, 1) for layer, size in sizes.items()}, sizes


def compare(record: dict[str, float], today: dict[str, float], sizes: dict[str, int]) -> list[str]:
    """A sentence for each layer that is worse than its record, or has none."""
    complaints = []
    for layer in sorted(record.keys() | today.keys()):
        if layer not in record:
            complaints.append(f"{layer} has no record: run make coverage-write.")
        elif layer not in today:
            complaints.append(f"{layer} is in the record and was not measured: run make coverage-write if it is gone.")
        elif today[layer] < record[layer] - max(TOLERANCE, 100 * TOLERATED_LINES / sizes[layer]):
            complaints.append(f"{layer} had {record[layer]} % and has {today[layer]} %: test what was added.")
    return complaints


def main() -> int:
    """Print, compare or write."""
    today, sizes = measure()
    record: dict[str, float] = yaml.safe_load(RECORD.read_text(encoding="utf-8")) if RECORD.exists() else {}
    print(f"{'LAYER':36} {'TODAY':>7} {'RECORD':>7}")
    for layer, percent in today.items():
        print(f"{layer:36} {percent:7.1f} {record.get(layer, float('nan')):7.1f}")
    if "--write" in sys.argv:
        RECORD.write_text(HEADER + yaml.safe_dump(today), encoding="utf-8")
        return 0
    complaints = compare(record, today, sizes)
    print("\n".join(complaints), end="\n" if complaints else "")
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
