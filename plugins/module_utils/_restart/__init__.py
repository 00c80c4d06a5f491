# SPDX-License-Identifier: GPL-3.0-or-later
# This package is private to the collection.
"""Restarts and their proof: boot ids, receipts, waiting for an instance to come back."""
