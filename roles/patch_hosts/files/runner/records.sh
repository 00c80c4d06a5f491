# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# What is read and written: the request, records, what people read, and the words of the trailer.
# Names are shared between the parts; `make shell` checks them together.
# shellcheck disable=SC2034,SC2154

# The request's keys become variables. The controller has checked the values.
read_request() {
  mode='patch'
  event=no
  health_timeout_s=
  same=off
  while IFS='=' read -r key value; do
    case "$key" in
    run_id) run_id=$value ;;
    mode) mode=$value ;;
    sent_at) sent_at=$value ;;
    not_after) not_after=$value ;;
    ends_at) ends_at=$value ;;
    work) work=$value ;;
    settle_s) settle_s=$value ;;
    restart) run_restart=$value ;;
    method) method=$value ;;
    event) event=$value ;;
    most_restarts) most_restarts=$value ;;
    steps) steps_count=$value ;;
    same) same=$value ;;
    health_timeout_s) health_timeout_s=$value ;;
    health_pause_s) health_pause_s=$value ;;
    health_attempt_timeout_s) health_attempt_timeout_s=$value ;;
    esac
  done <"$1/request"
}

# The same for the step in $step.
read_step() {
  builtin=
  name=
  updates=
  include=
  exclude=
  while IFS='=' read -r key value; do
    case "$key" in
    name) name=$value ;;
    builtin) builtin=$value ;;
    restart) restart=$value ;;
    timeout_s) timeout_s=$value ;;
    attempts) attempts=$value ;;
    rerun) rerun=$value ;;
    updates) updates=$value ;;
    include) include=$value ;;
    exclude) exclude=$value ;;
    esac
  done <"$step/step"
  # Without its steps the keeper must not go on as if there were none.
  [ -n "$name" ] || exit "$EXIT_REFUSED"
}

# A checksum of what the step does. Its guard may be mended without making it another step.
content() {
  { echo "$builtin$updates$include$exclude"; cat "$step/script" 2>/dev/null; } | cksum | tr ' ' '-'
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
