# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# os_updates with apt. Packages on hold stay, and none is removed.
# Names are shared between the parts; `make shell` checks them together.
# shellcheck disable=SC2034,SC2154

look_apt() {
  export DEBIAN_FRONTEND=noninteractive APT_LISTCHANGES_FRONTEND=none UCF_FORCE_CONFFOLD=1
  # What a power cut has left half done.
  [ "$act" = plan ] || patiently dpkg --force-confdef --force-confold --configure -a || return 1
  patiently apt-get -q update || return 1
  # It ends with 0 all the same when it goes on with an old list, or with none.
  if printed | grep -q '^Err:\|^W: Failed to fetch\|^W: Some index files failed'; then return 1; fi
  # Of a package with a security update and a later one that is none, the former is to be had.
  prefer=
  [ "$updates" != security ] || prefer='-o APT::Default-Release=/-security$/'
  apt_get -s upgrade --with-new-pkgs >"$run/apt.plan" || return 1
  # Inst NAME [OLD] (NEW ORIGIN/ARCHIVE, ... [ARCHITECTURE]); without OLD it is a new one.
  chosen=$(awk -v updates="$updates" '
    $1 == "Inst" && $3 ~ /^\[/ && (updates != "security" || /\([^)]*[Ss]ecurity/) { print $2 }' "$run/apt.plan" | choose)
  [ -z "$chosen" ] || return 100
}

plan_apt() {
  simulate_apt || return 1
  awk '$1 == "Inst" { sub(/:.*/, "", $2); if ($3 ~ /^\[/) $3 = $4; sub(/^\(/, "", $3); print $2, $3 }' "$run/apt.plan" \
    >"$run/packages.after"
}

# What apt would do, unless that is more than the step allows.
# shellcheck disable=SC2086
simulate_apt() {
  apt_get -s install --only-upgrade --no-remove $chosen >"$run/apt.plan" || return 1
  needed=$(awk '$1 == "Inst" && $3 ~ /^\[/ { print $2 }' "$run/apt.plan")
  for package in $needed; do
    is_of "${package%:*}" "$exclude" || continue
    echo "os_updates: the updates need that of $package, which is excluded"
    return 1
  done
}

# shellcheck disable=SC2086
upgrade_apt() {
  simulate_apt || return 1
  # A package that is named counts as wished for, and would never be removed as no longer needed.
  automatic=$(apt-mark showauto $chosen)
  patiently apt_get install --only-upgrade --no-remove $chosen
  ended=$?
  [ -z "$automatic" ] || apt-mark auto $automatic >/dev/null
  return "$ended"
}

# shellcheck disable=SC2086
apt_get() {
  apt-get -y -q -o Dpkg::Options::=--force-confdef -o Dpkg::Options::=--force-confold $prefer "$@"
}
