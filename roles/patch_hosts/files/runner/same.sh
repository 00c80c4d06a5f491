# shellcheck shell=sh
# SPDX-License-Identifier: GPL-3.0-or-later
# Whether the host is as it was before the run: units that have failed, ports that somebody listens on, mounts. Only a
# loss is a difference, and what cannot be looked at, before or now, is left out and said.
# Names are shared between the parts; `make shell` checks them together.
# shellcheck disable=SC2034,SC2154

# Once in a run, and before it has touched anything.
remember_how_it_is() {
  [ "$same" != off ] && [ ! -s "$run/before.same" ] || return 0
  for begun in "$run"/steps/*/started "$run"/steps/*/finished "$run"/restart_* "$run/restarts"; do
    [ ! -e "$begun" ] || return 0
  done
  keep_record "$run/before.same" "$(how_it_is)"
}

come_back_the_same() {
  [ "$same" != off ] || return 0
  if [ ! -s "$run/before.same" ]; then
    say "same: not looked at before the first step, so it is unknown what has been lost"
    return 0
  fi
  until is_the_same; do
    another_look || break
  done
  for part in units ports mounts; do
    if ! grep -qx "looked $part" "$run/before.same" || ! grep -qx "looked $part" "$run/after.same"; then
      say "same: $part were not looked at"
    fi
  done
  [ -s "$run/differences" ] || return 0
  say_differences
  [ "$same" = warn ] || end_unhealthy "it did not come back the same"
}

say_differences() {
  say "not as before: $(tr '\n' ';' <"$run/differences" | sed 's/;$//; s/;/; /g')"
}

# Leaves what was lost in RUN/differences, a line each.
is_the_same() {
  [ "$same" != off ] && [ -s "$run/before.same" ] || return 0
  keep_record "$run/after.same" "$(how_it_is)"
  awk '
    NR == FNR { before[$0]; next }
    { now[$0] }
    END {
      for (line in before) {
        split(line, word, " ")
        if (line in now || !("looked " word[1] in now)) continue
        if (word[1] == "ports") print "nobody listens on " word[2] " any more"
        if (word[1] == "mounts") print word[2] " (" word[3] ") is not mounted any more"
      }
      for (line in now) {
        split(line, word, " ")
        if (line in before || !("looked units" in before)) continue
        if (word[1] == "units") print "the unit " word[2] " has failed"
      }
    }' "$run/before.same" "$run/after.same" | tr "\\\\" _ | cut -c "1-$WORD_BYTES" | sort >"$run/differences"
  [ ! -s "$run/differences" ]
}

# A line for each thing, and for each part that could be looked at.
how_it_is() {
  failed_units
  listening_ports
  mounts
}

# Where systemd does not run, systemctl fails.
failed_units() {
  units=$(
    exec 8>&- 9>&-
    timeout "$LOOK_TIMEOUT_S" systemctl list-units --state=failed --plain --no-legend --no-pager 2>/dev/null
  ) || return 0
  echo looked units
  echo "$units" | awk 'NF { print "units", $1 }'
}

# From the kernel itself: sockets in the states LISTEN (TCP) and unconnected (UDP), whatever their address. Ports from
# which the kernel serves those that ask for any are somebody else's next time; so are those of DHCP clients.
listening_ports() {
  [ -r /proc/net/tcp ] || return 0
  read -r first_any _last </proc/sys/net/ipv4/ip_local_port_range || first_any=32768
  echo looked ports
  for family in tcp tcp6 udp udp6; do
    [ ! -r "/proc/net/$family" ] || awk -v family="${family%6}" -v first_any="$first_any" '
      function number(hex, i, value) {
        for (i = 1; i <= length(hex); i++) value = 16 * value + index("0123456789ABCDEF", substr(hex, i, 1)) - 1
        return value
      }
      family == "tcp" && $4 == "0A" || family == "udp" && $4 == "07" {
        port = number(substr($2, index($2, ":") + 1))
        if (port < first_any && !(family == "udp" && (port == 68 || port == 546))) print "ports", family "/" port
      }' "/proc/net/$family"
  done | sort -u
}

# Not what comes and goes with containers, sessions, snaps and the kernel, nor what is mounted when somebody goes there.
mounts() {
  [ -r /proc/mounts ] || return 0
  echo looked mounts
  awk '
    function on_demand(target, point) {
      for (point in automounts) if (target == point || index(target, point "/") == 1) return 1
    }
    $3 == "autofs" { automounts[$2] }
    $3 == "overlay" || on_demand($2) { next }
    $2 ~ "^/(dev|proc|run|snap|sys|var/lib/(containerd|containers|docker|kubelet|snapd))(/|$)" { next }
    { print "mounts", $2, $3 }' /proc/mounts | sort -u
}
