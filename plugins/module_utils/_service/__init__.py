# SPDX-License-Identifier: GPL-3.0-or-later
# This package is private to the collection.
"""The agent's service on the host that this runs on: for any Python that Ansible manages, without the SDK."""
