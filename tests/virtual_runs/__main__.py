# SPDX-License-Identifier: GPL-3.0-or-later
"""Rollouts on the virtual clock: ``python -m virtual_runs --runs 1000``. Exits 1 when a promise was broken."""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
import time
import traceback
from collections import Counter

from .judge import PROMISES
from .report import Told, tell
from .rules import RULES, without
from .run import runner_folder


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1, help="of the first run; the others count on from it")
    parser.add_argument("--http", type=int, default=0, help="play so many of them over HTTP, with the whole SDK")
    parser.add_argument("--without", choices=RULES, help="take a rule of the collection out, and tell who finds that")
    options = parser.parse_args()
    began = time.monotonic()
    seeds = range(options.seed, options.seed + options.runs)
    if options.without:
        return _search(options.without, seeds)
    jobs = [(seed, number < options.http) for number, seed in enumerate(seeds)]
    runner_folder()
    context = multiprocessing.get_context("fork")
    total: Counter[str] = Counter()
    broken: Counter[str] = Counter()
    with context.Pool(os.cpu_count()) as pool:
        for told in pool.imap_unordered(_play, jobs, chunksize=5):
            total.update(told.counts)
            broken.update(told.broken)
            if told.story:
                print(told.story, flush=True)
    for kind in ("verdict", "stop", "fault"):
        print(
            f"{kind}s: " + (", ".join(f"{key[1]} {n}" for key, n in sorted(total.items()) if key[0] == kind) or "none")
        )
    print(", ".join(f"{what} {total['', what]}" for what in ("controllers", "restarts", "steps begun", "requests")))
    print(", ".join(f"{promise} {broken[promise]}" for promise in PROMISES))
    print(f"seeds {seeds[0]} to {seeds[-1]}, {time.monotonic() - began:.0f} s")
    return 1 if broken else 0


def _search(rule: str, seeds: range) -> int:
    """Whether there is a seed that shows what the rule is for."""
    with without(rule):
        for number, seed in enumerate(seeds, start=1):
            broken = _play((seed, False)).broken
            if broken:
                print(f"{rule}: seed {seed}, {number} runs: {', '.join(broken)}")
                return 0
    print(f"{rule}: not found in {len(seeds)} runs")
    return 1


def _play(job: tuple[int, bool]) -> Told:
    seed, http = job
    try:
        return tell(seed, http=http)
    except Exception:
        story = f"=== seed {seed} did not come to an end\n{traceback.format_exc()}"
        return Told({}, {"did not end": 1}, story)


if __name__ == "__main__":
    sys.exit(main())
