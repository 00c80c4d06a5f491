#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The step runner of cloudops.alibaba. It runs on the host, in dash, bash and busybox sh.
#
#   runner.sh continue BASE DELIVERY    carry the run on, and tell how far it is (the one verb of the controller)
#   runner.sh keep RUN DELIVERY         the keeper: does the work, in a session of its own
#   runner.sh lead RUN STEP ATTEMPT     becomes one step, in a session of its own
#   runner.sh look RUN STEP             looks at what a built-in step would do, in a session of its own
#   runner.sh guard STEP                becomes the guard of a step
#   runner.sh check RUN SCRIPT          becomes the health script, in a session of its own
#   runner.sh watch RUN LEADER START SECONDS   ends a step that takes too long
#
# It is sent as one script, joined from this file (the runner: started by the agent, waits for the keeper), keeper.sh,
# assess.sh, restart.sh, health.sh, same.sh, session.sh, os_updates.sh, os_updates_*.sh, records.sh and start.sh, without
# the lines that are comments.
#
# The host owns the state. BASE/runs/RUN_ID holds the records of a run; each is written whole and synced before
# anything depends on it. The keeper holds a lock for as long as it works and outlives the agent's kill of the
# runner; whoever comes meanwhile waits for the lock and tells what the keeper told.
#
#   BASE/lock                flock: held by a keeper at work, so that two runs never work at the same time
#   RUN/lock                 flock: held by the run's keeper, also while it waits for another run's
#   RUN/identity             the machine the records belong to
#   RUN/plan                 whether the run restarts in any case: one run id is not for two kinds of runs
#   RUN/log                  everything the steps printed
#   RUN/summary              what the last keeper has to say to people
#   RUN/trailer              what the last keeper has to say to the controller
#   RUN/overdue.PID          the step with this leader is being ended, because its time is over
#   RUN/steps/NAME/started   boot, pid, start, content, attempt, uptime, timeout: the step writes it as it begins
#   RUN/steps/NAME/failed    attempt, status: the last attempt failed
#   RUN/steps/NAME/finished  done, unchanged or skipped; attempts; at; content: never starts again in this run
#   RUN/restart_wanted       reason: a step that finishes wants a restart, which is not asked for yet
#   RUN/restart_requested    boot, method, uptime, at, reason: a restart that is asked for and not yet proven
#   RUN/restarts             proven restarts, one a line: method before after requested_at proven_at reason
#   RUN/stale_reason         what still asked for a restart right after the last proven one
#   RUN/packages             packages updated, one a line: name from to; .before and .after: all that are installed
#   RUN/health               boot, pid, start: a health script is at work, which writes it as it begins
#   RUN/health.output        what its last attempt printed
#   RUN/before.same          how the host was before the first step; after.same: when it was last looked at
#   RUN/differences          what was lost in between, one a line
#   RUN/apt.plan, RUN/zypp.* what os_updates has told apt, and tells zypper
#   RUN/writable             written to see whether anything can be
#   *.new                    a record that is not whole yet
#
# A run that only assesses (assess.sh) has its folder below BASE/assess, and leaves BASE/runs as it is.
#
# DELIVERY (BASE/delivery.*) is what the controller sent: request (key=value lines) and steps/NN/ with step (key=value
# lines), script and unless, and perhaps health. The keeper removes it when it has served.
#
# Exit codes: 0 see the trailer, 1 a step failed, 75 ask again later, 76 too late, 78 refused, 194 restart me.
# Exit codes of steps never become exit codes of the runner. Functions whose names begin with end_with, leave or
# fail_step do not return.

# Names are shared between the parts; `make shell` checks them together.
# shellcheck disable=SC2034,SC2154

EXIT_FAILED=1
EXIT_LATER=75
EXIT_LATE=76
EXIT_REFUSED=78
EXIT_RESTART=194
STEP_UNCHANGED=100 # built-in steps only

CLOCK_SKEW_S=300
TERM_GRACE_S=10
GUARD_TIMEOUT_S=60
EVIDENCE_TIMEOUT_S=60
LOOK_TIMEOUT_S=10
LOCK_PATIENCE_S=600
LOCK_PAUSE_S=5
KEEP_RUNS_DAYS=30
SUMMARY_LOG_LINES=15
# A trailer has at most 4 KB; packages get what the rest leaves of it.
TRAILER_BYTES=4050
WORD_BYTES=200
RESTARTS_BYTES=700
DIFFERENCES_BYTES=500
PACKAGES_BYTES=1500

main() {
  umask 077
  verb=$1
  shift
  case "$verb" in
  continue) continue_run "$@" ;;
  keep) keep "$@" ;;
  lead) lead "$@" ;;
  look) look "$@" ;;
  guard) guard "$@" ;;
  check) check "$@" ;;
  watch) watch_step "$@" ;;
  *) exit "$EXIT_REFUSED" ;;
  esac
}

continue_run() {
  base=$1
  delivery=$2
  read_request "$delivery"
  run=$base/runs/$run_id
  [ "$mode" = patch ] || run=$base/assess/$run_id
  keeper_started=no
  start_the_clock
  in_time || leave late "$EXIT_LATE" "before the first step, and by this host's clock it was asked $((now - sent_at)) s ago"
  case "$(boot_id)" in
  ????????-????-????-????-????????????) ;;
  *) leave refused "$EXIT_REFUSED" "the boot id is unknown" instance ;;
  esac
  for tool in awk cksum flock setsid timeout; do
    command -v "$tool" >/dev/null 2>&1 || leave refused "$EXIT_REFUSED" "the host has no $tool" instance
  done
  mkdir -p "$run/steps" || leave refused "$EXIT_REFUSED" "cannot write $run" instance
  check_identity
  remove_old_runs
  exec 9>>"$run/lock"
  # The trailer is the last line: what the shell itself has to say, of a killed keeper, say, goes to the log.
  exec 2>>"$run/log"
  if flock -n 9; then
    # What an earlier keeper told is no answer to this delivery, even if this one comes to nothing.
    rm -f "$run/trailer"
    [ "$mode" = patch ] || forget_assessment
    # The keeper inherits the lock; this shell lets go of it and takes it again when the keeper has ended.
    setsid sh "$delivery/runner.sh" keep "$run" "$delivery" </dev/null >>"$run/log" 2>&1 &
    keeper_started=yes
    exec 9>&-
    exec 9>>"$run/lock"
  fi
  timeout "$(seconds_left)" flock 9 || leave busy "$EXIT_LATER" "the steps still run"
  tell
}

# The keeper has ended: pass on what it told. Of another delivery's keeper only its word on the very same work is passed
# on; whoever waited for somebody else never asks for a restart.
tell() {
  trailer=$(cat "$run/trailer" 2>/dev/null)
  case "$trailer" in
  *" for=${delivery##*/} "*) ;;
  "")
    record "$run/writable" yes || leave failed "$EXIT_FAILED" "cannot write $run: perhaps its disk is full" instance
    leave pending "$EXIT_LATER" "the keeper was killed"
    ;;
  *" work=$work "*)
    rm -rf "$delivery"
    cat "$run/summary" 2>/dev/null
    printf '%s replayed=yes' "${trailer% cksum=*}" | add_checksum
    exit 0
    ;;
  *) leave pending "$EXIT_LATER" "the keeper was at work on other steps of the run" ;;
  esac
  cat "$run/summary"
  echo "$trailer"
  case "$trailer" in
  *" state=done "*) exit 0 ;;
  *" state=restart method=api "*) exit 0 ;;
  *" state=restart "*)
    # Better no restart than one after the controller has given this host up.
    in_time || exit "$EXIT_LATE"
    exit "$EXIT_RESTART"
    ;;
  *" state=pending "*) exit "$EXIT_LATER" ;;
  *" state=late "*) exit "$EXIT_LATE" ;;
  *" state=refused "*) exit "$EXIT_REFUSED" ;;
  *) exit "$EXIT_FAILED" ;;
  esac
}

# End without a keeper's word. A keeper that was started may still work out of the delivery.
leave() {
  printf '%s blame=%s reason=%s log=%s' "$(trailer_start "$1" none)" "${4:-script}" "$(word "$3")" "$run/log" |
    add_checksum
  [ "$keeper_started" = yes ] || rm -rf "$delivery"
  exit "$2"
}

# From here on time is uptime: the host's clock may be set while the steps run.
start_the_clock() {
  now=$(date +%s)
  # With a clock that is behind, the host would believe that it has time left after the controller has given it up.
  behind_s=$((sent_at - now))
  [ "$behind_s" -gt 0 ] || behind_s=0
  [ "$behind_s" -le "$CLOCK_SKEW_S" ] || leave refused "$EXIT_REFUSED" "the clock is $behind_s s behind" instance
  ends_at=$(($(uptime_s) + not_after - behind_s - now))
  echo "ends_at=$ends_at" >>"$delivery/request"
}

in_time() {
  [ "$(uptime_s)" -le "$ends_at" ]
}

seconds_left() {
  left=$((ends_at - $(uptime_s)))
  if [ "$left" -gt 0 ]; then echo "$left"; else echo 1; fi
}

# Records of a clone or of a restored copy belong to another machine: start afresh, keep the old ones aside.
check_identity() {
  identity=$(cat /etc/machine-id /sys/class/dmi/id/product_uuid 2>/dev/null | cksum)
  if [ -s "$run/identity" ] && [ "$(cat "$run/identity")" != "$identity" ]; then
    mv "$run" "$run.of-another-machine.$(date +%s)"
    mkdir -p "$run/steps"
  fi
  record "$run/identity" "$identity"
}

remove_old_runs() {
  find "$base" -mindepth 2 -maxdepth 2 ! -path "$base/delivery.*" ! -path "$run" -mtime "+$KEEP_RUNS_DAYS" -exec rm -rf {} +
  find "$base" -mindepth 1 -maxdepth 1 -name 'delivery.*' -mtime +1 -exec rm -rf {} +
}
