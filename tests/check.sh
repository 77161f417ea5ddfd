# For scripts that judge something by many small commands (sourced): a line each, and what it said when it failed.
# `verdict` at the end counts them, as tests/run reads it.

said=$(mktemp)
passed=0 failed=0

check() { # WHAT COMMAND...
	local what=$1; shift
	if "$@" >"$said" 2>&1; then
		passed=$((passed + 1)); echo "ok    $what"
	else
		failed=$((failed + 1)); echo "FAIL  $what"; tail -15 "$said" | sed 's/^/      /'
	fi
}
not() { ! "$@"; }
nothing() { # COMMAND...: it works, and says nothing
	local output
	output=$("$@") && [[ -z $output ]] || { echo "$output"; return 1; }
}

verdict() {
	rm -f "$said"
	echo "$passed passed, $failed failed"
	((failed == 0))
}
