# SPDX-License-Identifier: GPL-3.0-or-later
"""The Cloud Assistant Agent of an instance: how it runs, reports and loses commands."""
