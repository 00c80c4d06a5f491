# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# os_updates with zypper. Packages with a lock stay.
# Names are shared between the parts; `make shell` checks them together.
# shellcheck disable=SC2034,SC2154

look_zypper() {
  if [ "$updates" = security ] && [ -n "$include" ]; then
    echo "os_updates: zypper installs a security patch whole, so it cannot include packages by name"
    exit 69
  fi
  patiently zypper --non-interactive refresh || return 1
  choose_included || return 0
  [ -z "$exclude" ] || lock_excluded || return 1
  return 100
}

# It updates itself before all others, and tells only of itself then.
# shellcheck disable=SC2086
plan_zypper() {
  set_zypper_command --dry-run
  patiently zypper --non-interactive --non-interactive-include-reboot-patches --xmlout $command
  case "$?" in
  0 | 102 | 103) ;;
  *) return 1 ;;
  esac
  printed | awk '
    function word(name) {
      return match($0, " " name "=\"[^\"]*") ? substr($0, RSTART + length(name) + 3, RLENGTH - length(name) - 3) : ""
    }
    /^<\/?to-/ { wanted = !/^<\// }
    wanted && /^<solvable / && word("type") == "package" { print word("name"), word("edition") }' >"$run/packages.after"
}

# Options come before names.
set_zypper_command() {
  command="update $* --auto-agree-with-licenses $chosen"
  [ "$updates" != security ] || command="patch $* --category security --auto-agree-with-licenses"
}

# shellcheck disable=SC2086
upgrade_zypper() {
  set_zypper_command
  # 102: a patch wants a restart, which it says once; the file is where `zypper needs-rebooting` looks. 103: it has
  # updated itself, and the rest comes with the next call.
  for _round in 1 2 3; do
    patiently zypper --non-interactive --non-interactive-include-reboot-patches $command
    case "$?" in
    0) return 0 ;;
    102)
      : >/run/reboot-needed
      return 0
      ;;
    103) ;;
    *) return 1 ;;
    esac
  done
  return 1
}

# For this call alone: the host's own locks, and those of the step.
lock_excluded() {
  config=$run/zypp.conf
  cat /usr/etc/zypp/zypp.conf /etc/zypp/zypp.conf >"$config" 2>/dev/null
  theirs=$(sed -n 's/^ *locksfile.path *= *//p' "$config" | tail -n 1)
  cat "${theirs:-/etc/zypp/locks}" >"$run/zypp.locks" 2>/dev/null
  for pattern in $exclude; do
    printf '\ntype: package\nmatch_type: glob\ncase_sensitive: on\nsolvable_name: %s\n' "$pattern"
  done >>"$run/zypp.locks"
  printf '\n[main]\nlocksfile.path = %s\n' "$run/zypp.locks" >>"$config"
  export ZYPP_CONF="$config"
}
