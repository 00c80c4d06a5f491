# SPDX-License-Identifier: GPL-3.0-or-later
"""Randomised rollouts on a virtual clock: hundreds in a minute, each following from its seed to the last second.

The collection's own modules talk to the simulator's cloud and agents. On its machines a double of the step runner
answers in place of the shell; `test_double.py` compares it with the real one.
"""
