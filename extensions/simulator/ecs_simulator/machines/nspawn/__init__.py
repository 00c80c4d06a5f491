# SPDX-License-Identifier: GPL-3.0-or-later
"""Linux machines with an init system: a Debian with systemd, run by systemd-nspawn, the agent as one of its services.

``rootfs`` makes the Debian that all machines share, ``tree`` what a machine has of its own, ``launcher`` runs
systemd-nspawn so that nothing is left of it, ``machine`` talks to the agent's service and to the power switch.
"""
