# SPDX-License-Identifier: GPL-3.0-or-later
"""HTTP, the RPC protocol and signatures: from a request to a call of an action and back."""
