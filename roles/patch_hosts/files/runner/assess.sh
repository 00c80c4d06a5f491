# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Assessing: what a run would find to do on the host, and whether it would restart it. No step runs, and no record of a
# run changes; guards run, and repositories are read.
# Names are shared between the parts; `make shell` checks them together.
# shellcheck disable=SC2034,SC2154

# Packages whose updates ask for a restart: those of dnf's needs-restarting (NEED_REBOOT) and of zypper's needreboot, and
# what they are called in Debian and Ubuntu.
ASK_FOR_RESTART='kernel kernel-core kernel-default* kernel-rt* linux-image-* glibc libc6 systemd udev dbus dbus-broker
dbus-daemon linux-firmware kernel-firmware* ucode-* microcode_ctl *-microcode'

# A keeper's work in place of that on the steps.
end_with_assessment() {
  certain=
  possible=
  expected_reason=
  number=0
  while [ "$number" -lt "$steps_count" ]; do
    number=$((number + 1))
    step=$(printf '%s/steps/%02d' "$delivery" "$number")
    read_step
    mkdir -p "$run/steps/$name"
    in_time || end_with late "before step $name"
    assess_step
    keep_record "$run/steps/$name/assessed" "$state"
    say "$name: $state"
    [ "$state" != 'done' ] || continue
    case "$restart:$builtin" in
    always:*) certain="$certain step:$name" ;;
    if_required:) possible="$possible step:$name" ;;
    esac
  done
  expect_restart
  end_with 'done' ''
}

# What an earlier assessment with this run id has found.
forget_assessment() {
  rm -rf "$run/steps" "$run/packages" "$run/packages.before" "$run/packages.after"
  mkdir -p "$run/steps"
}

# Sets state to needed, done or unknown.
assess_step() {
  state='done'
  [ ! -s "$base/runs/$run_id/steps/$name/finished" ] || return 0
  if [ -f "$step/unless" ]; then
    state=unknown
    ask_guard || return 0
    state='done'
    [ "$guard_code" != 0 ] || return 0
  fi
  state=needed
  [ -z "$builtin" ] || look_for_work
}

look_for_work() {
  attempt=0
  while :; do
    in_time || end_with late "before attempt $((attempt + 1)) of step $name"
    attempt=$((attempt + 1))
    log_line "step $name: look $attempt starts"
    setsid sh "$delivery/runner.sh" look "$run" "$step" </dev/null &
    leader=$!
    await "$leader" "$timeout_s"
    case "$status" in
    'exit status 0') return 0 ;;
    "exit status $STEP_UNCHANGED")
      state='done'
      return 0
      ;;
    esac
    [ -z "$(session_members "$leader")" ] || end_session "$leader"
    give_up_after_last_attempt
  done
}

# Sets expected and expected_reason: now (the host needs it as it is, or the run restarts in any case), likely, no or
# unknown.
expect_restart() {
  find_evidence
  include=$ASK_FOR_RESTART
  exclude=
  updates=$(
    set -f
    new_packages | choose | sort -u | tr '\n' ','
  )
  updates=${updates:+ update of ${updates%,}}
  if [ "$run_restart" = never ]; then
    expects no 'the run may not restart'
  elif [ "$run_restart" = always ]; then
    expects now 'the run restarts in any case'
  elif [ "$evidence" = required ]; then
    expects now "$evidence_reason"
  elif [ "$event" = yes ]; then
    expects now system_event
  elif [ -n "$updates$certain" ]; then
    expects likely "$updates$certain"
  elif [ -n "$possible" ]; then
    expects unknown "$possible"
  else
    expects "$([ "$evidence" = unknown ] && echo unknown || echo no)" "$evidence_reason"
  fi
}

expects() {
  expected=$1
  expected_reason=${2# }
}

# What os_updates would install that is not there in this version.
new_packages() {
  [ -s "$run/packages.after" ] || return 0
  grep -Fxv -f "$run/packages.before" "$run/packages.after"
}
