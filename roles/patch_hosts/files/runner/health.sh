# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# The host's health, when all steps and restarts are behind it: the user's script passes, and all is as it was before
# (same.sh), or their time is over. What comes of it is no record: whoever asks again is told how it is then.
# Names are shared between the parts; `make shell` checks them together.
# shellcheck disable=SC2034,SC2154

prove_health() {
  in_time || end_with late "before its health was known"
  hurried=no
  health_ends=$(($(uptime_s) + health_timeout_s))
  # So that the runner is still there to tell, even if the last attempt does not hear TERM.
  if [ "$health_ends" -gt $((ends_at - TERM_GRACE_S)) ]; then
    hurried=yes
    health_ends=$((ends_at - TERM_GRACE_S))
  fi
  pass_health
  come_back_the_same
}

pass_health() {
  [ -f "$delivery/health" ] || return 0
  tries=0
  until try_health; do
    another_look && continue
    is_the_same || say_differences
    say "health: did not pass ($status), attempt $tries; what it printed last:"
    if [ -s "$run/health.output" ]; then
      tail -n "$SUMMARY_LOG_LINES" "$run/health.output" | awk 1 >>"$run/summary"
    else
      say "(nothing)"
    fi
    end_unhealthy "the health script did not pass (attempt $tries: $status)"
  done
  say "health: passed, attempt $tries"
}

# One attempt. Sets status.
try_health() {
  tries=$((tries + 1))
  limit=$((health_ends - $(uptime_s)))
  [ "$limit" -le "$health_attempt_timeout_s" ] || limit=$health_attempt_timeout_s
  [ "$limit" -ge 1 ] || limit=1
  log_line "health: attempt $tries starts"
  # It lets go of the lock once it has written down that it is there.
  setsid sh "$delivery/runner.sh" check "$run" "$delivery/health" </dev/null >"$run/health.output" 2>&1 &
  leader=$!
  await "$leader" "$limit"
  awk 1 "$run/health.output"
  if [ "$status" != 'exit status 0' ]; then
    [ -z "$(session_members "$leader")" ] || end_session "$leader"
    log_line "health: attempt $tries failed ($status)"
  fi
  rm -f "$run/health"
  [ "$status" = 'exit status 0' ]
}

# Whether there is time for another look, after the pause before it.
another_look() {
  [ $(($(uptime_s) + health_pause_s)) -lt "$health_ends" ] || return 1
  sleep "$health_pause_s"
}

# When it was the run's time that was too short, nobody knows: that is no word on the host's health.
end_unhealthy() {
  [ "$hurried" = no ] || end_with late "$1"
  blame=health
  end_with failed "$1"
}
