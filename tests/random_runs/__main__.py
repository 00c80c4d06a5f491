# SPDX-License-Identifier: GPL-3.0-or-later
"""Randomised runs, each with its seed: ``python -m random_runs --runs 1000``. Exits 1 when a promise was broken."""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
import traceback
from contextlib import suppress

from .campaign import Campaign
from .report import figures, told


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1, help="of the first run; the others count on from it")
    parser.add_argument("--at-once", type=int, default=8 * (os.cpu_count() or 1), help="runs side by side")
    options = parser.parse_args()
    began = time.monotonic()
    campaign = Campaign(range(options.seed, options.seed + options.runs), options.at_once)
    campaign.on_outcome = lambda outcome: print(told(outcome), flush=True)
    # Who has seen enough is told what there is so far.
    with suppress(KeyboardInterrupt):
        asyncio.run(campaign.run())
    for seed, error in campaign.broken.items():
        print(f"=== seed {seed} did not come to an end")
        print("".join(traceback.format_exception(error)))
    print(figures(campaign.outcomes))
    print(f"seeds {options.seed} to {options.seed + options.runs - 1}, {time.monotonic() - began:.0f} s")
    kept = all(not outcome.violations for outcome in campaign.outcomes)
    return 0 if kept and len(campaign.outcomes) == options.runs else 1


if __name__ == "__main__":
    sys.exit(main())
