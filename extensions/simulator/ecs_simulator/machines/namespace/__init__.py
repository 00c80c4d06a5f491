# SPDX-License-Identifier: GPL-3.0-or-later
"""Linux machines made of namespaces: a synthetic root, own processes, no way to the host.

``tree`` makes a machine's files once, ``supervisor`` is process 1 on it, ``machine`` talks to process 1.
"""
