# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# os_updates with dnf, and with yum. Versions that are locked stay.
# Names are shared between the parts; `make shell` checks them together.
# shellcheck disable=SC2034,SC2154

# 100: there are updates, 0: there are none. dnf says 0 as well when it skips a repository that it cannot read, and for
# two days it believes what it has read earlier.
# shellcheck disable=SC2086
look_dnf() {
  choose_included || return 0
  dnf_or_yum -q check-update $chosen
}

# shellcheck disable=SC2086
upgrade_dnf() {
  dnf_or_yum -y upgrade $chosen
}

# It shows its table, and ends as if something were wrong. What it would skip has a section as well.
# shellcheck disable=SC2086
plan_dnf() {
  dnf_or_yum --assumeno upgrade $chosen
  code=$?
  [ "$code" = 0 ] || printed | grep -q 'Operation aborted\|Exiting on user command' || return 1
  # Of a row that is too wide for it, yum puts the name on a line of its own.
  printed | awk '
    /^[A-Z]/ { wanted = /^(Install|Upgrad|Updat|Downgrad).*:$/ }
    wanted && /^ / { row = row $0; if (split(row, words) >= 3) { print words[1], words[3]; row = "" } }' \
    >"$run/packages.after"
}

dnf_or_yum() {
  [ "$updates" != security ] || set -- "$@" --security
  [ -z "$exclude" ] || set -- "$@" "--exclude=$(echo "$exclude" | tr ' ' ',')"
  patiently "$manager" "$@" '--setopt=*.skip_if_unavailable=0' '--setopt=*.metadata_expire=0' --setopt=exit_on_lock=1
}
