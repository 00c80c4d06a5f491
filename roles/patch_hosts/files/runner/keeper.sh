# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The keeper: does the work, in a session of its own, step after step.
# Names are shared between the parts; `make shell` checks them together.
# shellcheck disable=SC2034,SC2154

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
  rm -f "$run/differences"
  wait_for_other_runs
  [ "$mode" = patch ] || end_with_assessment
  end_left_health
  check_plan
  [ -z "$health_timeout_s" ] || remember_how_it_is
  settle_restart
  restart_for_finished_step
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
  [ "$(cat "$run/plan")" != "$plan" ] || return 0
  blame=input
  end_with refused \
    "the run id is one that restarts by another rule: give the restart of its first start, or another run id"
}

# One run at a time works on a host; and a host that another run is about to restart is no place to begin anything.
# Once the settle time is over, that run has been given up, or asks again by itself. The lock is gone with a keeper that
# was killed, and the step that it leaves at work is not.
wait_for_other_runs() {
  base=${delivery%/*}
  exec 8>>"$base/lock"
  flock -n 8 || timeout "$(seconds_left)" flock 8 || end_with late "another run was at work on this host"
  for requested in "$base"/runs/*/restart_requested; do
    [ "$requested" != "$run/restart_requested" ] && [ -s "$requested" ] || continue
    read -r other_boot other_method other_uptime _rest <"$requested"
    [ "$other_boot" = "$boot" ] || continue
    other=${requested%/restart_requested}
    end_while_restart_may_come "$other_method" "$other_uptime" "run ${other##*/} asked for a restart"
  done
  for started in "$base"/runs/*/steps/*/started; do
    [ -s "$started" ] && [ "${started#"$run/"}" = "$started" ] || continue
    [ ! -s "${started%/*}/finished" ] && [ ! -s "${started%/*}/failed" ] || continue
    end_while_step_lives "$started"
  done
}

# End as pending while the step that another run's record tells of is at work. When its leader is gone and its time is
# over, who is left in its session are the services that it started.
end_while_step_lives() {
  read -r other_boot pid start _content _attempt started_uptime timeout_s <"$1"
  [ "$other_boot" = "$boot" ] && session_lives "$pid" "$start" || return 0
  wait_s=$((started_uptime + timeout_s - $(uptime_s)))
  if [ "$wait_s" -le 0 ]; then
    wait_s=$TERM_GRACE_S
    [ -n "$(start_time "$pid")" ] || return 0
  fi
  other=${1%/steps/*}
  other_step=${1%/started}
  end_with pending "step ${other_step##*/} of run ${other##*/} still runs"
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
    # It may have passed before, with nobody to see it finish.
    restart_for_finished_step
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
  read -r started_boot pid start started_content attempt started_uptime _timeout <"$records/started"
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
    blame=input
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
  ask_guard || fail_step "has a guard that came to no end: it is unknown whether the step is done"
  [ "$guard_code" = 0 ]
}

# Sets guard_code; false when the guard gave no answer.
ask_guard() {
  log_line "step $name: its guard runs"
  setsid sh "$delivery/runner.sh" guard "$step" </dev/null 8>&- 9>&- &
  await $! "$GUARD_TIMEOUT_S"
  guard_code=${status##* }
  case "$status" in
  # Above 128 it was killed.
  'exit status '*) [ "$guard_code" -le 128 ] ;;
  *) false ;;
  esac
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

# After the last step: the run's own policy, and the host's health.
finish_run() {
  if [ "$run_restart" = always ] && [ ! -s "$run/restarts" ]; then
    ask_for_restart always
  fi
  restart_on_evidence
  # Only a restart through the API settles a system event; one that this run has had is enough.
  if [ "$event" = yes ] && ! grep -qs '^api ' "$run/restarts"; then
    restart_for system_event
  fi
  [ -z "$health_timeout_s" ] || prove_health
  end_with 'done' ''
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
    elif [ -s "$run/steps/$name/assessed" ]; then
      read -r state <"$run/steps/$name/assessed"
    elif [ "$failed_step" = "$name" ]; then
      state=failed
      made=$attempt
    fi
    [ "$mode:$state" != patch:done ] || changed=yes
    states=$states${states:+,}$name:$state:$made
  done
  trailer=$(
    trailer_start "$1" "$method"
    printf ' again=%s wait=%s blame=%s reason=%s log=%s' "$again" "$wait_s" "$blame" "$(word "$2")" "$run/log"
    printf ' for=%s work=%s changed=%s steps=%s' "${delivery##*/}" "$work" "$changed" "$states"
    printf ' evidence=%s evidence_reason=%s' "${evidence:-unknown}" "$(word "${evidence_reason:-}")"
    [ "$mode" = patch ] || printf ' expected=%s expected_reason=%s' "${expected:-unknown}" "$(word "$expected_reason")"
    printf ' stale=%s restarts=%s' "$(word "$stale")" "$(pack "$run/restarts" "$RESTARTS_BYTES")"
    printf ' differences_count=%s' "$(count "$run/differences")"
    printf ' differences=%s' "$(pack "$run/differences" "$DIFFERENCES_BYTES")"
    printf ' packages_count=%s packages=' "$(count "$run/packages")"
  )
  room=$((TRAILER_BYTES - ${#trailer}))
  [ "$room" -le "$PACKAGES_BYTES" ] || room=$PACKAGES_BYTES
  trailer=$trailer$(pack "$run/packages" "$room")
  # Without room for the trailer the runner says so.
  record "$run/trailer" "$(printf '%s' "$trailer" | add_checksum)"
  rm -rf "$delivery"
  exit 0
}
