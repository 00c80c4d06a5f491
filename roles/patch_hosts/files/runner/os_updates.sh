# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The built-in step os_updates: what is alike with all package managers. What each one does is in os_updates_*.sh:
#   look_NAME      reads the repositories; 0 nothing to do, 100 there may be something, anything else: it cannot be known
#   upgrade_NAME   updates what the step asks for
#   plan_NAME      changes nothing, and writes what upgrade_NAME would install, lines "name version", to RUN/packages.after
# Names are shared between the parts; `make shell` checks them together.
# shellcheck disable=SC2034,SC2154

# Update packages, and record what has changed since the first attempt of the run, however the attempts ended; or record
# what would change. $1 is upgrade or plan.
os_updates() {
  act=$1
  # Names with a * are for us to match, and not for the shell.
  set -f
  if ! find_manager; then
    echo "os_updates: this host has no package manager that is its own (dnf, yum, apt or zypper)"
    return 69
  fi
  list_installed "$run/packages.after" || return 1
  [ -s "$run/packages.before" ] || cp "$run/packages.after" "$run/packages.before" || return 1
  by_manager look
  case "$?" in
  0)
    echo "os_updates: nothing to do"
    ended=0
    ;;
  100)
    by_manager "$act"
    ended=$?
    ;;
  *)
    echo "os_updates: the repositories cannot be read, so it is unknown whether there are updates"
    return 1
    ;;
  esac
  if [ "$act" = plan ]; then
    sort -u -o "$run/packages.after" "$run/packages.after"
  else
    list_installed "$run/packages.after" || return 1
  fi
  # A version that was not there before, of a package that was (a kernel may be there in several).
  awk "$NEWER"'
    NR == FNR { had[$1, $2] = 1; if (newer($2, old[$1])) old[$1] = $2; next }
    !(($1, $2) in had) && ($1 in old) { print $1, old[$1], $2 }' \
    "$run/packages.before" "$run/packages.after" >"$run/packages"
  sync_file "$run/packages"
  [ "$ended" = 0 ] || return 1
  [ -s "$run/packages" ] || return "$STEP_UNCHANGED"
}

by_manager() {
  case "$1:$manager" in
  look:apt-get) look_apt ;;
  plan:apt-get) plan_apt ;;
  upgrade:apt-get) upgrade_apt ;;
  look:zypper) look_zypper ;;
  plan:zypper) plan_zypper ;;
  upgrade:zypper) upgrade_zypper ;;
  look:*) look_dnf ;;
  plan:*) plan_dnf ;;
  upgrade:*) upgrade_dnf ;;
  esac
}

# Sets manager to the distribution's own: a Debian may have dnf as well, with nothing in its database.
find_manager() {
  distribution=$(
    # shellcheck source=/dev/null
    . /etc/os-release
    echo " ${ID:-} ${ID_LIKE:-} "
  ) 2>/dev/null
  case "$distribution" in
  *' debian '*) managers=apt-get ;;
  *suse*) managers=zypper ;;
  *) managers='dnf yum' ;;
  esac
  for manager in $managers; do
    command -v "$manager" >/dev/null 2>&1 && return 0
  done
  manager=
  return 1
}

# Lines "name version" into a file, which is whole or not there.
list_installed() {
  if [ "$manager" = apt-get ]; then
    # shellcheck disable=SC2016
    dpkg-query -W -f '${db:Status-Abbrev} ${Package} ${Version}\n' | awk '$1 ~ /^.i/ { print $2, $3 }'
  else
    # Keys are "packages" too.
    rpm -qa --qf '%{NAME} %|EPOCH?{%{EPOCH}:}|%{VERSION}-%{RELEASE}\n' | grep -v '^gpg-pubkey '
  fi | sort -u >"$1.new"
  if [ ! -s "$1.new" ]; then
    echo "os_updates: cannot list the packages that are installed"
    return 1
  fi
  mv "$1.new" "$1"
}

# Of the packages on standard input, those that are to be included and not excluded.
choose() {
  while read -r package _version; do
    [ -z "$include" ] || is_of "${package%:*}" "$include" || continue
    is_of "${package%:*}" "$exclude" || echo "$package"
  done
}

is_of() {
  for pattern in $2; do
    # shellcheck disable=SC2254
    case "$1" in
    $pattern) return 0 ;;
    esac
  done
  return 1
}

# Sets chosen to what the step includes by name; false when none of it is installed here.
choose_included() {
  chosen=
  [ -n "$include" ] || return 0
  chosen=$(choose <"$run/packages.after")
  [ -n "$chosen" ]
}

# Run a package manager, again and again while another one holds its lock.
patiently() {
  patient_until=$(($(uptime_s) + LOCK_PATIENCE_S))
  while :; do
    # Through a pipe, whoever is started as a service by it could keep us waiting.
    printed_from=$(($(wc -c <"$run/log") + 1))
    "$@"
    code=$?
    was_locked || return "$code"
    if [ "$(uptime_s)" -ge "$patient_until" ]; then
      echo "os_updates: somebody else has held the package manager's lock for $LOCK_PATIENCE_S s"
      exit 1
    fi
    sleep "$LOCK_PAUSE_S"
  done
}

printed() {
  tail -c "+$printed_from" "$run/log"
}

# 7: zypper, 200: dnf and yum. apt has sentences.
was_locked() {
  case "$code" in
  0) return 1 ;;
  7 | 200) return 0 ;;
  esac
  printed | grep -q 'Could not get lock\|Unable to lock\|Unable to acquire the dpkg\|locked by another process'
}

# For awk: whether a version is newer than another, by runs of digits and of letters, as rpm does. Numbers are compared
# as numbers (6.8.0-31 is older than 6.8.0-100), a number is newer than a word, and more is newer.
NEWER='
  function part(text) {
    match(text, text ~ /^[0-9]/ ? "^[0-9]+" : "^[A-Za-z]+")
    return substr(text, 1, RLENGTH)
  }
  function newer(a, b, x, y) {
    while (1) {
      sub(/^[^A-Za-z0-9]+/, "", a)
      sub(/^[^A-Za-z0-9]+/, "", b)
      if (a == "" || b == "") return a != ""
      x = part(a)
      y = part(b)
      a = substr(a, length(x) + 1)
      b = substr(b, length(y) + 1)
      if (x ~ /^[0-9]/ && y ~ /^[0-9]/) {
        if (x + 0 != y + 0) return x + 0 > y + 0
      } else if (x != y) {
        if (x ~ /^[0-9]/) return 1
        if (y ~ /^[0-9]/) return 0
        return x > y
      }
    }
  }'
