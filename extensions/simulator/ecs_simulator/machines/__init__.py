# SPDX-License-Identifier: GPL-3.0-or-later
"""Where scripts run: the kinds of machines behind the instances."""
