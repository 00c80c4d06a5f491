# SPDX-License-Identifier: GPL-3.0-or-later
"""The actions of the API, one file a family. They read parameters, ask the cloud and shape its answers."""
