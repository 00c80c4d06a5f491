#!/bin/sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The step runner of cloudops.alibaba. It runs on the host, in dash, bash and busybox sh.
#
#   runner.sh continue BASE DELIVERY    carry the run on, and tell how far it is (the one verb of the controller)
#   runner.sh keep RUN DELIVERY         the keeper: does the work, in a session of its own
#   runner.sh lead RUN STEP ATTEMPT     becomes one step, in a session of its own
#   runner.sh watch RUN LEADER SECONDS  ends a step that takes too long
#
# The host owns the state. BASE/runs/RUN_ID holds the records of a run; each is written whole and synced before
# anything depends on it. The keeper holds a lock for as long as it works and outlives the agent's kill of the
# runner; whoever comes meanwhile waits for the lock and tells what the keeper told.
#
#   RUN/lock                 flock: held by the keeper
#   RUN/identity             the machine the records belong to
#   RUN/log                  everything the steps printed
#   RUN/summary              what the last keeper has to say to people
#   RUN/trailer              what the last keeper has to say to the controller
#   RUN/overdue              a step is being ended, because its time is over
#   RUN/steps/NAME/started   boot, pid, start, content, attempt: written by the step itself just before it begins
#   RUN/steps/NAME/failed    attempt, status: the last attempt failed
#   RUN/steps/NAME/finished  done, unchanged or skipped; attempts; at: such a step never starts again in this run
#   RUN/restart_requested    boot, method, uptime, at, reason: a restart that is asked for and not yet proven
#   RUN/restarts             proven restarts, one a line: method before after requested_at proven_at reason
#   RUN/packages             packages updated, one a line: name from to
#
# DELIVERY is what the controller sent: request (key=value lines) and steps/NN/ with step (key=value lines),
# script and unless. It is removed when it has served.
#
# Exit codes: 0 see the trailer, 1 a step failed, 75 ask again later, 76 too late, 78 refused, 194 restart me.
# Exit codes of steps never become exit codes of the runner.

EXIT_FAILED=1
EXIT_LATER=75
EXIT_LATE=76
EXIT_REFUSED=78
EXIT_RESTART=194
STEP_UNCHANGED=100 # built-in steps only

CLOCK_SKEW_S=300
TERM_GRACE_S=10
GUARD_TIMEOUT_S=60
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
  now=$(date +%s)
  if [ "$now" -gt "$not_after" ]; then
    leave late "$EXIT_LATE" before_the_first_step
  fi
  if [ "$((now + CLOCK_SKEW_S))" -lt "$sent_at" ]; then
    leave refused "$EXIT_REFUSED" "the_clock_is_$((sent_at - now))_s_behind"
  fi
  for tool in awk cksum flock setsid timeout; do
    command -v "$tool" >/dev/null 2>&1 || leave refused "$EXIT_REFUSED" "the_host_has_no_$tool"
  done
  mkdir -p "$run/steps" || leave refused "$EXIT_REFUSED" "cannot_write_$run"
  check_identity
  remove_old_runs
  exec 9>>"$run/lock"
  if flock -n 9; then
    # The keeper inherits the lock; this shell lets go of it and takes it again when the keeper has ended.
    setsid sh "$delivery/runner.sh" keep "$run" "$delivery" </dev/null >>"$run/log" 2>&1 &
    exec 9>&-
    exec 9>>"$run/lock"
  fi
  timeout "$(seconds_left)" flock 9 || leave busy "$EXIT_LATER" the_steps_still_run
  tell
}

# The keeper has ended: pass on what it told. The trailer of another delivery's keeper is only passed on; whoever
# waited for somebody else never asks for a restart.
tell() {
  trailer=$(cat "$run/trailer" 2>/dev/null)
  case "$trailer" in
  *" for=${delivery##*/} "*) ;;
  "") leave pending "$EXIT_LATER" the_keeper_was_killed ;;
  *)
    rm -rf "$delivery"
    cat "$run/summary" 2>/dev/null
    printf '%s replayed=yes' "${trailer% cksum=*}" | add_checksum
    exit 0
    ;;
  esac
  rm -rf "$delivery"
  cat "$run/summary"
  echo "$trailer"
  case "$trailer" in
  *" state=done "*) exit 0 ;;
  *" state=restart method=api "*) exit 0 ;;
  *" state=restart "*)
    # Better no restart than one after the controller has given this host up.
    [ "$(date +%s)" -le "$not_after" ] || exit "$EXIT_LATE"
    exit "$EXIT_RESTART"
    ;;
  *" state=pending "*) exit "$EXIT_LATER" ;;
  *" state=late "*) exit "$EXIT_LATE" ;;
  *" state=refused "*) exit "$EXIT_REFUSED" ;;
  *) exit "$EXIT_FAILED" ;;
  esac
}

# End without a keeper's word.
leave() {
  printf '%s reason=%s log=%s' "$(trailer_start "$1" none)" "$(word "$3")" "$run/log" | add_checksum
  rm -rf "$delivery"
  exit "$2"
}

seconds_left() {
  left=$((not_after - $(date +%s)))
  if [ "$left" -gt 0 ]; then echo "$left"; else echo 1; fi
}

# Records of a clone or of a restored copy belong to another machine: start afresh, keep the old ones aside.
check_identity() {
  identity=$(cat /etc/machine-id /sys/class/dmi/id/product_uuid 2>/dev/null | cksum)
  if [ -s "$run/identity" ] && [ "$(cat "$run/identity")" != "$identity" ]; then
    mv "$run" "$run.of-another-machine.$now"
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
  evidence=
  stale=
  : >"$run/summary"
  settle_restart
  for step in "$delivery"/steps/*/; do
    [ -d "$step" ] || continue
    work_on "${step%/}"
  done
  finish_run
}

# A restart was asked for: has it happened?
settle_restart() {
  [ -s "$run/restart_requested" ] || return 0
  read -r before asked_method asked_uptime asked_at reason <"$run/restart_requested"
  if [ "$before" != "$boot" ]; then
    echo "$asked_method $before $boot $asked_at $(utc_now) $reason" >>"$run/restarts"
    sync_file "$run/restarts"
    rm -f "$run/restart_requested"
    say "restarted: the boot id was $before and is $boot"
    return 0
  fi
  # The same boot. Young: it may be on its way down. Old: nobody heard, and in this boot asking again is safe, as
  # long as it is by the same method.
  method=$asked_method
  age=$(($(uptime_s) - asked_uptime))
  if [ "$age" -lt "$settle_s" ]; then
    end_with pending "a_restart_was_requested_${age}_s_ago"
  fi
  ask_for_restart "$reason"
}

# Run a step unless it is done, then restart if it asks for that.
work_on() {
  step=$1
  read_step
  records=$run/steps/$name
  mkdir -p "$records"
  [ ! -s "$records/finished" ] || return 0
  [ "$(date +%s)" -le "$not_after" ] || end_with late "before_step_$name"
  attempt=0
  if [ -s "$records/started" ]; then
    look_at_started_step
  fi
  if [ -f "$step/unless" ] && guard_says_done; then
    finish_step skipped
    return 0
  fi
  while ! run_step; do
    if [ "$attempt" -ge "$attempts" ]; then
      fail_step "failed with $status, attempt $attempt of $attempts"
    fi
  done
  finish_step "$outcome"
  restart_after_step
}

# The records say that the step began, and not that it finished.
look_at_started_step() {
  read -r started_boot pid start started_content attempt <"$records/started"
  if [ "$started_boot" = "$boot" ] && session_lives "$pid" "$start"; then
    end_with pending "step_${name}_still_runs"
  fi
  if [ -s "$records/failed" ]; then
    # It ended, and failed: it may be tried anew, and may have been mended meanwhile.
    attempt=0
  elif [ "$started_content" != "$(content)" ]; then
    end_with refused "step_${name}_has_changed_since_it_began"
  elif [ "$rerun" != yes ] && [ ! -f "$step/unless" ]; then
    fail_step "was interrupted, and has neither a guard (unless) nor rerun: look how far it came"
  fi
}

guard_says_done() {
  log_line "step $name: its guard runs"
  setsid sh "$step/unless" </dev/null 9>&- &
  await $! "$GUARD_TIMEOUT_S"
  [ "$status" = 'exit status 0' ]
}

# Make one attempt. Sets status, outcome and wants_restart.
run_step() {
  attempt=$((attempt + 1))
  wants_restart=no
  outcome='done'
  evidence=
  rm -f "$records/failed"
  log_line "step $name: attempt $attempt starts"
  setsid sh "$delivery/runner.sh" lead "$run" "$step" "$attempt" </dev/null 9>&- &
  await $! "$timeout_s"
  case "$builtin:$status" in
  *':exit status 0') ;;
  ?*":exit status $STEP_UNCHANGED") outcome=unchanged ;;
  # The step itself asks for a restart, as scripts made for the agent do.
  ":exit status $EXIT_RESTART") wants_restart=yes ;;
  *)
    record "$records/failed" "$attempt $status"
    log_line "step $name: attempt $attempt failed with $status"
    return 1
    ;;
  esac
}

# Wait for the leader of a session, but no longer than so many seconds. Sets status.
await() {
  rm -f "$run/overdue"
  setsid sh "$delivery/runner.sh" watch "$run" "$1" "$2" </dev/null 9>&- &
  watch=$!
  wait "$1"
  status="exit status $?"
  if [ -e "$run/overdue" ]; then
    # The leader is gone; the watch sees to the others.
    status="no end after $2 s"
  else
    # By group, and by number in case it has not become a group yet.
    kill -s KILL -- "-$watch" 2>/dev/null
    kill -s KILL "$watch" 2>/dev/null
  fi
  wait "$watch" 2>/dev/null
}

finish_step() {
  record "$records/finished" "$1 $attempt $(utc_now)"
  say "$name: $1"
  log_line "step $name: $1"
}

fail_step() {
  failed_step=$name
  say "$name: $1"
  say "the end of the log:"
  tail -n "$SUMMARY_LOG_LINES" "$run/log" >>"$run/summary"
  end_with failed "step_${name}_$1"
}

restart_after_step() {
  if [ "$wants_restart" = yes ] || [ "$restart" = always ]; then
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
  if [ -s "$run/restarts" ] && awk -v reason="$(word "$evidence_reason")" \
    '$NF == reason { found = 1 } END { exit !found }' "$run/restarts"; then
    # It has restarted for this very reason, and the reason is still there: another restart will not help.
    stale=$evidence_reason
    say "a restart is still reported as required ($evidence_reason), although there has been one for it"
    return 0
  fi
  restart_for "$evidence_reason"
}

restart_for() {
  if [ "$run_restart" = never ]; then
    say "a restart is required ($1), and this run may not restart"
    evidence=required
    evidence_reason=$1
    return 0
  fi
  ask_for_restart "$1"
}

ask_for_restart() {
  record "$run/restart_requested" "$boot $method $(uptime_s) $(utc_now) $(word "$1")"
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
  hint=$(needs-restarting -r 2>&1)
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
  steps=
  changed=no
  for step in "$delivery"/steps/*/; do
    [ -d "$step" ] || continue
    read_step
    state=pending
    made=0
    if [ -s "$run/steps/$name/finished" ]; then
      read -r state made _at <"$run/steps/$name/finished"
    elif [ "$failed_step" = "$name" ]; then
      state=failed
      made=$attempt
    fi
    [ "$state" != 'done' ] || changed=yes
    steps=$steps${steps:+,}$name:$state:$made
  done
  {
    trailer_start "$1" "$method"
    printf ' reason=%s log=%s' "$(word "$2")" "$run/log"
    printf ' for=%s changed=%s steps=%s' "${delivery##*/}" "$changed" "$steps"
    printf ' evidence=%s evidence_reason=%s' "${evidence:-unknown}" "$(word "${evidence_reason:-}")"
    printf ' stale=%s restarts=%s' "$(word "$stale")" "$(pack "$run/restarts" "$RESTARTS_BYTES")"
    printf ' packages_count=%s packages=%s' "$(count "$run/packages")" "$(pack "$run/packages" "$PACKAGES_BYTES")"
  } | add_checksum >"$run/trailer.new"
  sync_file "$run/trailer.new"
  mv "$run/trailer.new" "$run/trailer"
  exit 0
}

# --- one step ---------------------------------------------------------------------------------------------------

# Write down who we are, then become the step.
lead() {
  run=$1
  step=$2
  read_step
  record "$run/steps/$name/started" "$(boot_id) $$ $(start_time $$) $(content) $3" || exit 79
  cd / || exit 79
  if [ "$builtin" = os_updates ]; then
    os_updates
    exit $?
  fi
  # The interpreter of the first line is called by name, because /var may be mounted noexec.
  interpreter=$(sed -n '1s/^#! *//p' "$step/script")
  # shellcheck disable=SC2086
  exec ${interpreter:-sh} "$step/script"
}

# End the whole session of a step: TERM, then KILL.
watch_step() {
  sleep "$3"
  : >"$1/overdue"
  echo "--- $(utc_now) the step has had its $3 s and is ended"
  signal_session "$2" TERM
  waited=0
  while [ -n "$(session_members "$2")" ] && [ "$waited" -lt "$TERM_GRACE_S" ]; do
    sleep 1
    waited=$((waited + 1))
  done
  signal_session "$2" KILL
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

# Update all packages.
os_updates() {
  if ! command -v dnf >/dev/null 2>&1; then
    echo "os_updates: this version knows dnf only, and this host has no dnf"
    return 69
  fi
  # 100: there are updates, 0: there are none. dnf says 0 as well when it skips a repository that it cannot read.
  dnf -q check-update '--setopt=*.skip_if_unavailable=0'
  case "$?" in
  100) ;;
  0)
    echo "os_updates: nothing to do"
    return "$STEP_UNCHANGED"
    ;;
  *)
    echo "os_updates: the repositories cannot be read, so it is unknown whether there are updates"
    return 1
    ;;
  esac
  list_installed >"$run/packages.before" || return 1
  dnf -y upgrade || return 1
  list_installed >"$run/packages.after" || return 1
  # In both lists, with two versions: updated.
  awk 'NR == FNR { before[$1] = $2; next } ($1 in before) && before[$1] != $2 { print $1, before[$1], $2 }' \
    "$run/packages.before" "$run/packages.after" >>"$run/packages"
  rm -f "$run/packages.before" "$run/packages.after"
  sync_file "$run/packages"
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
    settle_s) settle_s=$value ;;
    restart) run_restart=$value ;;
    method) method=$value ;;
    esac
  done <"$1/request"
}

# The same for the step in $step.
read_step() {
  builtin=
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
}

# A checksum of what the step does.
content() {
  { echo "$builtin"; cat "$step/script" "$step/unless" 2>/dev/null; } | cksum | tr ' ' '-'
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

# A text as one word of the trailer.
word() {
  printf '%s' "$1" | tr -c 'A-Za-z0-9._+~:,/@-' '_' | cut -c "1-$WORD_BYTES"
}

# Lines as one word: fields joined by "|", lines by ";", as many whole lines as fit into so many bytes.
pack() {
  [ -s "$1" ] || return 0
  tr -c 'A-Za-z0-9._+~:,/@ \n-' '_' <"$1" | awk -v room="$2" '
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
