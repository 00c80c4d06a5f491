# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The built-in step os_updates.
# Names are shared between the parts; `make shell` checks them together.
# shellcheck disable=SC2034,SC2154

# Update all packages, and record what has changed since the first attempt of the run, however the attempts ended.
os_updates() {
  if ! command -v dnf >/dev/null 2>&1; then
    echo "os_updates: this version knows dnf only, and this host has no dnf"
    return 69
  fi
  # 100: there are updates, 0: there are none. dnf says 0 as well when it skips a repository that it cannot read.
  dnf -q check-update '--setopt=*.skip_if_unavailable=0'
  case "$?" in
  0)
    if [ ! -s "$run/packages.before" ]; then
      echo "os_updates: nothing to do"
      return "$STEP_UNCHANGED"
    fi
    ended=0
    ;;
  100)
    [ -s "$run/packages.before" ] || list_installed >"$run/packages.before" || return 1
    dnf -y upgrade
    ended=$?
    ;;
  *)
    echo "os_updates: the repositories cannot be read, so it is unknown whether there are updates"
    return 1
    ;;
  esac
  list_installed >"$run/packages.after" || return 1
  # A version that was not there before, of a package that was (a kernel may be there in several).
  awk 'NR == FNR { had[$1, $2] = 1; old[$1] = $2; next }
    !(($1, $2) in had) && ($1 in old) { print $1, old[$1], $2 }' \
    "$run/packages.before" "$run/packages.after" >"$run/packages"
  sync_file "$run/packages"
  [ "$ended" = 0 ] || return 1
  [ -s "$run/packages" ] || return "$STEP_UNCHANGED"
}

list_installed() {
  dnf -q list --installed | awk 'NF >= 3 { sub(/\.[^.]*$/, "", $1); print $1, $2 }'
}
