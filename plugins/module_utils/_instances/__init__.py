# SPDX-License-Identifier: GPL-3.0-or-later
# This package is private to the collection.
"""Instances: describe them, and switch their power."""
