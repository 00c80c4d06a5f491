# SPDX-License-Identifier: GPL-3.0-or-later
# This package is private to the collection.
"""Commands through Cloud Assistant: submit, wait, read results, say why an instance failed."""
