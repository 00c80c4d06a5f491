#!/bin/sh
### BEGIN INIT INFO
# Provides:          aliyun-service
# Required-Start:    $remote_fs $network
# Required-Stop:     $remote_fs $network
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: Aliyun Assist
### END INIT INFO
# The agent's script, with the stand-in as its program.
name=$(basename "$0")
pid_file=/var/run/$name.pid
agent=/usr/local/share/aliyun-assist/2.2.3.578/aliyun-service

# The tests ask for a script that exits 0 and does nothing, as there are.
[ -e /etc/script-does-nothing ] && [ "$1" != status ] && exit 0

case "$1" in
  start)
    start-stop-daemon --start --oknodo --background --make-pidfile --pidfile "$pid_file" --startas "$agent"
    ;;
  stop)
    start-stop-daemon --stop --oknodo --retry 10 --remove-pidfile --pidfile "$pid_file"
    ;;
  restart)
    "$0" stop && "$0" start
    ;;
  status)
    if start-stop-daemon --status --pidfile "$pid_file"; then
      echo Running
    else
      echo Stopped
      exit 3
    fi
    ;;
  *)
    echo "Usage: $0 {start|stop|restart|status}"
    exit 1
    ;;
esac
