# Processes of this run. A pid file holds the pid and its start time, so that only what was started here is ever ended.

start_time() { # PID: nothing for a dead one or a zombie
	local fields
	fields=$(sed 's/.*) //' "/proc/$1/stat" 2>/dev/null) || return 0
	[[ $fields == Z* ]] || cut -d' ' -f20 <<<"$fields"
}

alive() { # NAME
	local pid since
	[[ -f $run/$1.pid ]] && read -r pid since <"$run/$1.pid" && [[ $since == "$(start_time "$pid")" ]]
}

leash=() # what ties the processes to this shell's life; empty when they are to outlive it

start() { # NAME COMMAND...
	local name=$1
	shift
	setsid "${leash[@]}" "$@" >>"$log/$name.log" 2>&1 </dev/null &
	echo "$! $(start_time $!)" >"$run/$name.pid"
}

stop() { # NAME [SIGNAL]: KILL after five seconds
	local pid since i
	if alive "$1"; then
		read -r pid since <"$run/$1.pid"
		kill "-${2:-TERM}" "$pid" 2>/dev/null || true
		for ((i = 0; i < 100; i++)); do
			alive "$1" || break
			((i != 50)) || kill -KILL "$pid"
			sleep 0.1
		done
	fi
	rm -f "$run/$1.pid"
}

await() { # SECONDS NAME COMMAND...: until the command succeeds, while the process of that name (if it is one) lives
	local end=$((SECONDS + $1)) name=$2
	shift 2
	until "$@" >/dev/null 2>&1; do
		if ((SECONDS >= end)) || { [[ -f $run/$name.pid ]] && ! alive "$name"; }; then
			tail -5 "$log/$name.log" >&2 || true
			die "$name did not get ready; its log is $log/$name.log"
		fi
		sleep 0.1
	done
}

cmd_status() {
	local file name pid
	for file in "$run"/*.pid; do
		[[ -f $file ]] || continue
		name=$(basename "$file" .pid)
		read -r pid _ <"$file"
		if alive "$name"; then
			echo "$name: pid $pid, $(awk '/^VmRSS/ {printf "%d MiB", $2 / 1024}' "/proc/$pid/status")"
		else
			echo "$name: dead"
		fi
	done
}
