# SPDX-License-Identifier: GPL-3.0-or-later
"""Randomised runs: rollouts with what goes wrong at random moments, judged by the simulator's audit log."""
