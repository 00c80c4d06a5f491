#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The step runner of cloudops.alibaba. It runs on the host, in dash, bash and busybox sh.
#
#   runner.sh continue BASE DELIVERY    carry the run on, and tell how far it is (the one verb of the controller)
#   runner.sh keep RUN DELIVERY         the keeper: does the work, in a session of its own
#   runner.sh lead RUN STEP ATTEMPT     becomes one step, in a session of its own
#   runner.sh guard STEP                becomes the guard of a step
#   runner.sh watch RUN LEADER START SECONDS   ends a step that takes too long
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
#   RUN/steps/NAME/started   boot, pid, start, content, attempt, uptime: written by the step itself just before it begins
#   RUN/steps/NAME/failed    attempt, status: the last attempt failed
#   RUN/steps/NAME/finished  done, unchanged or skipped; attempts; at; content: never starts again in this run
#   RUN/restart_wanted       reason: a step that finishes wants a restart, which is not asked for yet
#   RUN/restart_requested    boot, method, uptime, at, reason: a restart that is asked for and not yet proven
#   RUN/restarts             proven restarts, one a line: method before after requested_at proven_at reason
#   RUN/stale_reason         what still asked for a restart right after the last proven one
#   RUN/packages             packages updated, one a line: name from to; packages.before and .after: all that are installed
#   RUN/writable             written to see whether anything can be
#   *.new                    a record that is not whole yet
#
# DELIVERY (BASE/delivery.*) is what the controller sent: request (key=value lines) and steps/NN/ with step (key=value
# lines), script and unless. The keeper removes it when it has served.
#
# Exit codes: 0 see the trailer, 1 a step failed, 75 ask again later, 76 too late, 78 refused, 194 restart me.
# Exit codes of steps never become exit codes of the runner. Functions whose names begin with end_with, leave or
# fail_step do not return.

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
KEEP_RUNS_DAYS=30
SUMMARY_LOG_LINES=15
# A trailer has at most 4 KB.
WORD_BYTES=200
RESTARTS_BYTES=700
PACKAGES_BYTES=1500

main() {
  umask 077
  verb=$1
  shift
  case "$verb" in
  continue) continue_run "$@" ;;
  keep) keep "$@" ;;
  lead) lead "$@" ;;
  guard) guard "$@" ;;
  watch) watch_step "$@" ;;
  *) exit "$EXIT_REFUSED" ;;
  esac
}

# --- the runner: started by the agent, waits for the keeper -----------------------------------------------------

continue_run() {
  base=$1
  delivery=$2
  read_request "$delivery"
  run=$base/runs/$run_id
  keeper_started=no
  start_the_clock
  in_time || leave late "$EXIT_LATE" "before the first step"
  case "$(boot_id)" in
  ????????-????-????-????-????????????) ;;
  *) leave refused "$EXIT_REFUSED" "the boot id is unknown" ;;
  esac
  for tool in awk cksum flock setsid timeout; do
    command -v "$tool" >/dev/null 2>&1 || leave refused "$EXIT_REFUSED" "the host has no $tool"
  done
  mkdir -p "$run/steps" || leave refused "$EXIT_REFUSED" "cannot write $run"
  check_identity
  remove_old_runs
  exec 9>>"$run/lock"
  # The trailer is the last line: what the shell itself has to say, of a killed keeper, say, goes to the log.
  exec 2>>"$run/log"
  if flock -n 9; then
    # What an earlier keeper told is no answer to this delivery, even if this one comes to nothing.
    rm -f "$run/trailer"
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
  [ "$behind_s" -le "$CLOCK_SKEW_S" ] || leave refused "$EXIT_REFUSED" "the clock is $behind_s s behind"
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
  find "$base/runs" -mindepth 1 -maxdepth 1 ! -path "$run" -mtime "+$KEEP_RUNS_DAYS" -exec rm -rf {} +
  find "$base" -mindepth 1 -maxdepth 1 -name 'delivery.*' -mtime +1 -exec rm -rf {} +
}

# --- the keeper: does the work ----------------------------------------------------------------------------------

keep() {
  run=$1
  delivery=$2
  read_request "$delivery"
  boot=$(boot_id)
  failed_step=
  blame=script
  evidence=
  stale=
  again=no
  wait_s=0
  : >"$run/summary"
  wait_for_other_runs
  check_plan
  settle_restart
  if [ -s "$run/restart_wanted" ]; then
    restart_for "$(cat "$run/restart_wanted")"
  fi
  number=0
  while [ "$number" -lt "$steps_count" ]; do
    number=$((number + 1))
    work_on "$(printf '%s/steps/%02d' "$delivery" "$number")"
  done
  finish_run
}

# A run that restarts in any case and one that restarts if need be are two runs: the first one's restart must not
# count for the second.
check_plan() {
  plan="always=no"
  [ "$run_restart" != always ] || plan="always=yes"
  [ -s "$run/plan" ] || keep_record "$run/plan" "$plan"
  [ "$(cat "$run/plan")" = "$plan" ] || end_with refused "the run id is one that restarts by another rule: give the restart of its first start, or another run id"
}

# One run at a time works on a host; and a host that another run is about to restart is no place to begin anything.
# Once the settle time is over, that run has been given up, or asks again by itself.
wait_for_other_runs() {
  exec 8>>"${run%/runs/*}/lock"
  flock -n 8 || timeout "$(seconds_left)" flock 8 || end_with late "another run was at work on this host"
  for requested in "${run%/*}"/*/restart_requested; do
    [ "$requested" != "$run/restart_requested" ] && [ -s "$requested" ] || continue
    read -r other_boot other_method other_uptime _rest <"$requested"
    [ "$other_boot" = "$boot" ] || continue
    other=${requested%/restart_requested}
    end_while_restart_may_come "$other_method" "$other_uptime" "run ${other##*/} asked for a restart"
  done
}

# A restart was asked for: has it happened?
settle_restart() {
  [ -s "$run/restart_requested" ] || return 0
  read -r before asked_method asked_uptime asked_at reason <"$run/restart_requested"
  if [ "$before" != "$boot" ]; then
    # A request is proven once, even if the power goes between this and the removal of the request.
    if ! grep -qs "^[a-z_]* $before " "$run/restarts"; then
      proof="$asked_method $before $boot $asked_at $(utc_now) $reason"
      keep_record "$run/restarts" "$(
        cat "$run/restarts" 2>/dev/null
        echo "$proof"
      )"
    fi
    # What asks for a restart right after one is not cured by another.
    find_evidence
    [ "$evidence" = required ] || evidence_reason=
    keep_record "$run/stale_reason" "$(word "$evidence_reason")"
    # A wish that is still there is older than this boot: the power went while it became the request.
    rm -f "$run/restart_wanted"
    sync_file "$run"
    rm -f "$run/restart_requested"
    sync_file "$run"
    say "restarted: the boot id was $before and is $boot"
    return 0
  fi
  if [ "$run_restart" = never ]; then
    say "a restart was requested earlier ($reason), and this run may not restart"
    evidence=required
    evidence_reason=$reason
    return 0
  fi
  # The same boot. Young: it may be on its way down. Old: nobody heard, and in this boot asking again is safe, as
  # long as it is by the same method.
  method=$asked_method
  again=yes
  end_while_restart_may_come "$asked_method" "$asked_uptime" "a restart was requested"
  ask_for_restart "$reason"
}

# End as pending while a restart by METHOD, requested at UPTIME, may still come; else return. RebootInstances is sent up to half the
# settle time after the request, and the guest may then take all of it.
end_while_restart_may_come() {
  patience_s=$settle_s
  [ "$1" != api ] || patience_s=$((2 * settle_s))
  age=$(($(uptime_s) - $2))
  [ "$age" -lt "$patience_s" ] || return 0
  wait_s=$((patience_s - age))
  end_with pending "$3 $age s ago"
}

# Run a step unless it is done, then restart if it asks for that.
work_on() {
  step=$1
  read_step
  records=$run/steps/$name
  mkdir -p "$records"
  if [ -s "$records/finished" ]; then
    read -r _state _attempts _at finished_content <"$records/finished"
    [ "$finished_content" = "$(content)" ] || say "$name: finished earlier in this run, with another script"
    return 0
  fi
  attempt=0
  if [ -s "$records/started" ]; then
    look_at_started_step
  fi
  in_time || end_with late "before step $name"
  if [ -f "$step/unless" ] && guard_says_done; then
    finish_step skipped
    return 0
  fi
  while :; do
    in_time || end_with late "before attempt $((attempt + 1)) of step $name"
    run_step && break
    give_up_after_last_attempt
  done
  # Before the step counts as finished, or a power cut in between would lose the wish.
  [ "$wants_restart" = no ] || keep_record "$run/restart_wanted" "step:$name"
  finish_step "$outcome"
  restart_after_step
}

# The records say that the step began, and not that it finished.
look_at_started_step() {
  read -r started_boot pid start started_content attempt started_uptime <"$records/started"
  if [ -s "$records/failed" ]; then
    # It ended, and failed: it may be tried anew, and may have been mended meanwhile.
    attempt=0
  elif [ "$started_boot" = "$boot" ] && session_lives "$pid" "$start"; then
    outlive_keeper
  elif [ "$started_boot" = "$boot" ] && [ -e "$run/overdue.$pid" ]; then
    # Its watch has outlived its keeper, and has ended it.
    rm -f "$run/overdue.$pid"
    end_late_attempt
  elif [ "$started_content" != "$(content)" ]; then
    end_with refused "step $name has changed since it began"
  elif [ "$rerun" != yes ] && [ ! -f "$step/unless" ]; then
    blame=lost
    fail_step "was interrupted, and has neither a guard (unless) nor rerun: look how far it came"
  fi
}

# The step is at work, and its keeper was killed, perhaps before there was a watch over it: its time is as long as ever.
outlive_keeper() {
  wait_s=$((started_uptime + timeout_s - $(uptime_s)))
  [ "$wait_s" -le 0 ] || end_with pending "step $name still runs"
  wait_s=0
  end_late_attempt
}

end_late_attempt() {
  status="no end within $timeout_s s"
  end_failed_attempt "$pid"
  give_up_after_last_attempt
}

guard_says_done() {
  log_line "step $name: its guard runs"
  setsid sh "$delivery/runner.sh" guard "$step" </dev/null 8>&- 9>&- &
  await $! "$GUARD_TIMEOUT_S"
  case "$status" in
  # Above 128 it was killed: that is no answer.
  'exit status '*) [ "${status##* }" -gt 128 ] || return "${status##* }" ;;
  esac
  fail_step "has a guard that came to no end: it is unknown whether the step is done"
}

# Make one attempt. Sets status, outcome and wants_restart.
run_step() {
  attempt=$((attempt + 1))
  wants_restart=no
  [ "$restart" != always ] || wants_restart=yes
  outcome='done'
  evidence=
  rm -f "$records/failed"
  log_line "step $name: attempt $attempt starts"
  # The lead lets go of the lock once it has written down that it is there.
  setsid sh "$delivery/runner.sh" lead "$run" "$step" "$attempt" </dev/null &
  leader=$!
  await "$leader" "$timeout_s"
  case "$builtin:$status" in
  *':exit status 0') ;;
  ?*":exit status $STEP_UNCHANGED") outcome=unchanged ;;
  # The step itself asks for a restart, as scripts made for the agent do.
  ":exit status $EXIT_RESTART")
    wants_restart=yes
    if [ "$restart" = never ]; then
      wants_restart=no
      say "$name: asks for a restart, and may not have one"
    fi
    ;;
  *)
    end_failed_attempt "$leader"
    return 1
    ;;
  esac
}

# A leader that was killed may leave others at work: they must not meet the next attempt.
end_failed_attempt() {
  [ -z "$(session_members "$1")" ] || end_session "$1"
  keep_record "$records/failed" "$attempt $status"
  log_line "step $name: attempt $attempt failed ($status)"
}

give_up_after_last_attempt() {
  [ "$attempt" -ge "$attempts" ] || return 0
  case "$status" in
  'no end within'*) blame=timeout ;;
  esac
  fail_step "failed ($status), attempt $attempt of $attempts"
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

finish_step() {
  keep_record "$records/finished" "$1 $attempt $(utc_now) $(content)"
  say "$name: $1"
  log_line "step $name: $1"
}

fail_step() {
  failed_step=$name
  say "$name: $1"
  say "the end of the log:"
  # awk ends the last line, or the trailer would become a part of it.
  tail -n "$SUMMARY_LOG_LINES" "$run/log" | awk 1 >>"$run/summary"
  end_with failed "step $name $1"
}

restart_after_step() {
  if [ "$wants_restart" = yes ]; then
    restart_for "step:$name"
  elif [ "$restart" = if_required ]; then
    restart_on_evidence
  fi
}

# After the last step: the run's own policy.
finish_run() {
  if [ "$run_restart" = always ] && [ ! -s "$run/restarts" ]; then
    ask_for_restart always
  fi
  restart_on_evidence
  end_with 'done' ''
}

restart_on_evidence() {
  [ -n "$evidence" ] || find_evidence
  [ "$evidence" = required ] || return 0
  if [ "$(word "$evidence_reason")" = "$(cat "$run/stale_reason" 2>/dev/null)" ]; then
    stale=$evidence_reason
    say "a restart is still reported as required ($evidence_reason), although there has been one for it"
    return 0
  fi
  restart_for "$evidence_reason"
}

restart_for() {
  if [ "$run_restart" = never ]; then
    rm -f "$run/restart_wanted"
    say "a restart is required ($1), and this run may not restart"
    evidence=required
    evidence_reason=$1
    return 0
  fi
  ask_for_restart "$1"
}

ask_for_restart() {
  proven=$(count "$run/restarts")
  if [ "$proven" -ge "$most_restarts" ]; then
    say "another restart is required ($1) after $proven, the most that this run may have"
    end_with failed "another restart is required after $proven"
  fi
  keep_record "$run/restart_requested" "$boot $method $(uptime_s) $(utc_now) $(word "$1")"
  rm -f "$run/restart_wanted"
  say "restart requested: $1"
  end_with restart "$1"
}

# Sets evidence to required, not_required or unknown, and evidence_reason.
find_evidence() {
  evidence=unknown
  evidence_reason=nothing_tells
  if [ -e /run/reboot-required ]; then
    evidence=required
    evidence_reason=/run/reboot-required
    return 0
  fi
  command -v needs-restarting >/dev/null 2>&1 || return 0
  hint=$(
    exec 8>&- 9>&-
    timeout "$EVIDENCE_TIMEOUT_S" needs-restarting -r 2>&1
  )
  case "$?:$hint" in
  0:*)
    evidence=not_required
    evidence_reason=needs-restarting
    ;;
  # Any error of dnf ends with 1 too: only its sentence counts.
  1:*"Reboot is required"*)
    evidence=required
    evidence_reason=needs-restarting:$(echo "$hint" | sed -n 's/^  \* //p' | sort | tr '\n' ',' | sed 's/,$//')
    ;;
  esac
}

# The keeper's last act: the trailer.
end_with() {
  log_line "state $1${2:+: $2}"
  states=
  changed=no
  number=0
  while [ "$number" -lt "$steps_count" ]; do
    number=$((number + 1))
    step=$(printf '%s/steps/%02d' "$delivery" "$number")
    read_step
    state=pending
    made=0
    if [ -s "$run/steps/$name/finished" ]; then
      read -r state made _at _content <"$run/steps/$name/finished"
    elif [ "$failed_step" = "$name" ]; then
      state=failed
      made=$attempt
    fi
    [ "$state" != 'done' ] || changed=yes
    states=$states${states:+,}$name:$state:$made
  done
  trailer=$(
    trailer_start "$1" "$method"
    printf ' again=%s wait=%s blame=%s reason=%s log=%s' "$again" "$wait_s" "$blame" "$(word "$2")" "$run/log"
    printf ' for=%s work=%s changed=%s steps=%s' "${delivery##*/}" "$work" "$changed" "$states"
    printf ' evidence=%s evidence_reason=%s' "${evidence:-unknown}" "$(word "${evidence_reason:-}")"
    printf ' stale=%s restarts=%s' "$(word "$stale")" "$(pack "$run/restarts" "$RESTARTS_BYTES")"
    printf ' packages_count=%s packages=%s' "$(count "$run/packages")" "$(pack "$run/packages" "$PACKAGES_BYTES")"
  )
  # Without room for the trailer the runner says so.
  record "$run/trailer" "$(printf '%s' "$trailer" | add_checksum)"
  rm -rf "$delivery"
  exit 0
}

# --- one step ---------------------------------------------------------------------------------------------------

# Write down who we are, then become the step.
lead() {
  run=$1
  step=$2
  read_step
  record "$run/steps/$name/started" "$(boot_id) $$ $(start_time $$) $(content) $3 $(uptime_s)" || exit 79
  exec 8>&- 9>&-
  as_the_agent_would
  if [ "$builtin" = os_updates ]; then
    os_updates
    exit $?
  fi
  # The interpreter of the first line is called by name, because /var may be mounted noexec.
  interpreter=$(sed -n '1s/^#! *//p' "$step/script")
  # shellcheck disable=SC2086
  exec ${interpreter:-sh} "$step/script"
}

guard() {
  as_the_agent_would
  exec sh "$1/unless"
}

# Only our own records are private: files that a step makes are for others to read.
as_the_agent_would() {
  umask 022
  cd /
}

# End the whole session of a step whose time is over: TERM, then KILL.
watch_step() {
  sleep "$4"
  # The leader may have gone without a keeper to call the watch off, and somebody else may have its number.
  [ "$(start_time "$2")" = "$3" ] || exit 0
  : >"$1/overdue.$2"
  echo "--- $(utc_now) the step has had its $4 s and is ended"
  end_session "$2"
}

end_session() {
  signal_session "$1" TERM
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

# --- built-in steps ---------------------------------------------------------------------------------------------

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

# --- small things -----------------------------------------------------------------------------------------------

# The request's keys become variables. The controller has checked the values.
read_request() {
  while IFS='=' read -r key value; do
    case "$key" in
    run_id) run_id=$value ;;
    sent_at) sent_at=$value ;;
    not_after) not_after=$value ;;
    ends_at) ends_at=$value ;;
    work) work=$value ;;
    settle_s) settle_s=$value ;;
    restart) run_restart=$value ;;
    method) method=$value ;;
    most_restarts) most_restarts=$value ;;
    steps) steps_count=$value ;;
    esac
  done <"$1/request"
}

# The same for the step in $step.
read_step() {
  builtin=
  name=
  while IFS='=' read -r key value; do
    case "$key" in
    name) name=$value ;;
    builtin) builtin=$value ;;
    restart) restart=$value ;;
    timeout_s) timeout_s=$value ;;
    attempts) attempts=$value ;;
    rerun) rerun=$value ;;
    esac
  done <"$step/step"
  # Without its steps the keeper must not go on as if there were none.
  [ -n "$name" ] || exit "$EXIT_REFUSED"
}

# A checksum of what the step does. Its guard may be mended without making it another step.
content() {
  { echo "$builtin"; cat "$step/script" 2>/dev/null; } | cksum | tr ' ' '-'
}

# A record that what follows depends on: without it the keeper stops.
keep_record() {
  record "$1" "$2" && return 0
  blame=instance
  end_with failed "cannot write $1"
}

# Write a record whole or not at all.
record() {
  printf '%s\n' "$2" >"$1.new" && sync_file "$1.new" && mv "$1.new" "$1" && sync_file "${1%/*}"
}

sync_file() {
  sync "$1" 2>/dev/null || sync
}

boot_id() {
  cat /proc/sys/kernel/random/boot_id
}

# When a process began, in clock ticks after boot; empty when there is no such process, or only its remains.
start_time() {
  line=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
  # shellcheck disable=SC2086
  set -- ${line##*) }
  [ "$1" = Z ] || echo "${20}"
}

uptime_s() {
  read -r uptime _idle </proc/uptime
  echo "${uptime%%.*}"
}

utc_now() {
  date -u +%Y-%m-%dT%H:%M:%SZ
}

say() {
  echo "$1" >>"$run/summary"
}

# Into the run's log and the host's.
log_line() {
  echo "--- $(utc_now) $1"
  logger -t cloudops.alibaba "run $run_id: $1" 2>/dev/null
}

trailer_start() {
  printf 'cloudops.alibaba/1 run=%s state=%s method=%s boot=%s at=%s' \
    "$run_id" "$1" "$2" "$(boot_id)" "$(utc_now)"
}

# A text as one word of the trailer; its spaces become %20, as in addresses.
word() {
  printf '%s' "$1" | tr -c 'A-Za-z0-9._+~:,/@() -' '_' | cut -c "1-$WORD_BYTES" | sed 's/ /%20/g'
}

# Lines as one word: fields joined by "|", lines by ";", as many whole lines as fit into so many bytes.
pack() {
  [ -s "$1" ] || return 0
  tr -c 'A-Za-z0-9._+~:,/@()% \n-' '_' <"$1" | awk -v room="$2" '
    { gsub(/ /, "|"); if (length(all) + length($0) < room) all = all (all == "" ? "" : ";") $0 }
    END { printf "%s", all }'
}

count() {
  if [ -f "$1" ]; then awk 'END { print NR }' "$1"; else echo 0; fi
}

# Standard input is a trailer without its checksum.
add_checksum() {
  line=$(cat)
  sum=$(printf '%s' "$line" | cksum)
  echo "$line cksum=${sum%% *}"
}

main "$@"; exit $?
