# SPDX-License-Identifier: GPL-3.0-or-later
# This package is private to the collection.
"""The only room that imports Alibaba's SDK: the client, one function per API call, errors, retries, limits."""
