# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Steps, guards and health scripts, each in a session of its own: becoming one, waiting for one, and ending one with all that is in it.
# Names are shared between the parts; `make shell` checks them together.
# shellcheck disable=SC2034,SC2154

# Write down who we are, then become the step.
lead() {
  run=$1
  step=$2
  read_step
  record "$run/steps/$name/started" "$(boot_id) $$ $(start_time $$) $(content) $3 $(uptime_s) $timeout_s" || exit 79
  exec 8>&- 9>&-
  as_the_agent_would
  if [ "$builtin" = os_updates ]; then
    os_updates upgrade
    exit $?
  fi
  become "$step/script"
}

# What a built-in step would do.
look() {
  run=$1
  step=$2
  read_step
  exec 8>&- 9>&-
  as_the_agent_would
  os_updates plan
  exit $?
}

guard() {
  as_the_agent_would
  exec sh "$1/unless"
}

# The health script, which writes down that it is there, as a step does.
check() {
  record "$1/health" "$(boot_id) $$ $(start_time $$)" || exit 79
  exec 8>&- 9>&-
  as_the_agent_would
  become "$2"
}

# The interpreter of the first line is called by name, because /var may be mounted noexec.
become() {
  interpreter=$(sed -n '1s/^#! *//p' "$1")
  # shellcheck disable=SC2086
  exec ${interpreter:-sh} "$1"
}

# Only our own records are private: files that a step makes are for others to read.
as_the_agent_would() {
  umask 022
  cd /
}

# Wait for the leader of a session, but no longer than so many seconds. Sets status.
await() {
  rm -f "$run/overdue.$1"
  setsid sh "$delivery/runner.sh" watch "$run" "$1" "$(start_time "$1")" "$2" </dev/null 8>&- 9>&- &
  watch=$!
  wait "$1"
  status="exit status $?"
  if [ -e "$run/overdue.$1" ]; then
    # The leader is gone; the watch sees to the others.
    status="no end within $2 s"
    rm -f "$run/overdue.$1"
  else
    # By group, and by number in case it has not become a group yet.
    kill -s KILL -- "-$watch" 2>/dev/null
    kill -s KILL "$watch" 2>/dev/null
  fi
  wait "$watch" 2>/dev/null
}

# End the whole session of a step whose time is over: TERM, then KILL.
watch_step() {
  sleep "$4"
  # The leader may have gone without a keeper to call the watch off, and somebody else may have its number.
  [ "$(start_time "$2")" = "$3" ] || exit 0
  # Stopped it cannot come to a good end of its own between this decision and the signal that ends it.
  kill -s STOP "$2" 2>/dev/null
  [ "$(start_time "$2")" = "$3" ] || exit 0
  : >"$1/overdue.$2"
  echo "--- $(utc_now) its $4 s are over: it is ended"
  end_session "$2"
}

end_session() {
  signal_session "$1" TERM
  kill -s CONT "$1" 2>/dev/null
  waited=0
  while [ -n "$(session_members "$1")" ] && [ "$waited" -lt "$TERM_GRACE_S" ]; do
    sleep 1
    waited=$((waited + 1))
  done
  signal_session "$1" KILL
}

signal_session() {
  for member in $(session_members "$1"); do
    kill -s "$2" "$member" 2>/dev/null
  done
}

# A step lives while its leader does, or while anyone is left in its session and nobody else has its number.
session_lives() {
  now_started=$(start_time "$1")
  if [ -n "$now_started" ]; then
    [ "$now_started" = "$2" ]
  else
    [ -n "$(session_members "$1")" ]
  fi
}

session_members() {
  for stat in /proc/[0-9]*/stat; do
    line=$(cat "$stat" 2>/dev/null) || continue
    member=${stat#/proc/}
    # After the name in parentheses: state, parent, group, session.
    # shellcheck disable=SC2086
    set -- "$1" ${line##*) }
    [ "${5:-}" != "$1" ] || [ "$2" = Z ] || echo "${member%/stat}"
  done
}

# When a process began, in clock ticks after boot; empty when there is no such process, or only its remains.
start_time() {
  line=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
  # shellcheck disable=SC2086
  set -- ${line##*) }
  [ "$1" = Z ] || echo "${20}"
}

# A health script whose keeper was killed, of whichever run: it changes nothing, and must not run beside what follows.
end_left_health() {
  for left in "${run%/*}"/*/health; do
    [ -s "$left" ] || continue
    read -r left_boot pid start <"$left"
    if [ "$left_boot" = "$boot" ] && session_lives "$pid" "$start"; then
      end_session "$pid"
    fi
    rm -f "${left%/*}/overdue.$pid" "$left"
  done
}
