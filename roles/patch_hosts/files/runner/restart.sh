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

# The wish of a step that has begun and not finished waits for that: it may run again, and would then have its restart
# twice.
restart_for_finished_step() {
  wish=$(cat "$run/restart_wanted" 2>/dev/null)
  if [ -n "$wish" ] && [ -s "$run/steps/${wish#step:}/finished" ]; then
    restart_for "$wish"
  fi
}

restart_after_step() {
  if [ -s "$run/restart_wanted" ]; then
    restart_for_finished_step
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
  evidence=
  if [ -e /run/reboot-required ]; then
    found required /run/reboot-required
  elif find_manager; then
    case "$manager" in
    # Where this is, packages leave that file when they want a restart.
    apt-get) [ ! -e /usr/share/update-notifier/notify-reboot-required ] || found not_required no_reboot-required ;;
    zypper) ask_zypper ;;
    *) ask_needs_restarting ;;
    esac
  fi
  [ -n "$evidence" ] || compare_kernels
}

found() {
  evidence=$1
  evidence_reason=$2
}

ask_needs_restarting() {
  # yum's is a program of its own. With dnf, a program of that name may be that of zypper.
  if [ "$manager" = dnf ]; then ask dnf -q needs-restarting -r; else ask needs-restarting -r; fi
  case "$code:$hint" in
  0:*) found not_required needs-restarting ;;
  # Any error of dnf ends with 1 too: only its sentence counts.
  1:*"Reboot is required"*)
    found required "needs-restarting:$(echo "$hint" | sed -n 's/^  \* //p' | sort | tr '\n' ',' | sed 's/,$//')"
    ;;
  esac
}

# Its package may bring a needs-restarting of its own, which ends with 1 for any error.
ask_zypper() {
  ask zypper --non-interactive needs-rebooting
  case "$code" in
  0) found not_required zypper ;;
  102) found required zypper:needs-rebooting ;;
  esac
}

# Sets hint to what a program says, and code.
ask() {
  hint=$(
    exec 8>&- 9>&-
    timeout "$EVIDENCE_TIMEOUT_S" "$@" 2>&1
  )
  code=$?
}

# Where nothing else tells. That it says nothing of libraries is why it comes last.
compare_kernels() {
  running=$(uname -r)
  newest=$(installed_kernels | newest_kernel "$running")
  case "$newest" in
  '') found unknown nothing_tells ;;
  "$running") found not_required "kernel:$running" ;;
  *) found required "kernel:$running,$newest" ;;
  esac
}

installed_kernels() {
  for kernel in /boot/vmlinuz-*; do
    [ ! -e "$kernel" ] || echo "${kernel#/boot/vmlinuz-}"
  done
}

# Of the kernels on standard input, the newest that is of the running one's kind (-generic, -cloud-amd64, +debug and
# the like); nothing when there is none, as in a container.
newest_kernel() {
  awk -v running="$1" "$NEWER"'
    function kind(name) { gsub(/[0-9._~]+/, " ", name); return name }
    kind($1) == kind(running) {
      if ($1 == running) seen = running
      if (newer($1, newest == "" ? running : newest)) newest = $1
    }
    END { print newest == "" ? seen : newest }'
}
