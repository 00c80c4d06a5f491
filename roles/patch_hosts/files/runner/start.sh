# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The last part: now all functions are known.

main "$@"; exit $?
