# SPDX-License-Identifier: GPL-3.0-or-later
# This package is private to the collection.
"""Patching a batch of hosts: continue, wait, restart, prove, continue, until each host has its verdict.

The host owns the state of its work (see the step runner in the role patch_hosts); what is here asks for it, acts on
it and never guesses.
"""
