# SPDX-License-Identifier: GPL-3.0-or-later
"""State and rules of the simulated cloud. No HTTP in here."""
