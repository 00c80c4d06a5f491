# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Restarts: asked for once, and proven by the boot id.
# Names are shared between the parts; `make shell` checks them together.
# shellcheck disable=SC2034,SC2154

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

# End as pending while a restart by METHOD, requested at UPTIME, may still come; else return. RebootInstances is sent up
# to half the settle time after the request, and the guest may then take all of it.
end_while_restart_may_come() {
  patience_s=$settle_s
  [ "$1" != api ] || patience_s=$((2 * settle_s))
  age=$(($(uptime_s) - $2))
  [ "$age" -lt "$patience_s" ] || return 0
  wait_s=$((patience_s - age))
  end_with pending "$3 $age s ago"
}

restart_after_step() {
  if [ "$wants_restart" = yes ]; then
    restart_for "step:$name"
  elif [ "$restart" = if_required ]; then
    restart_on_evidence
  fi
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
