# Runs steps one after another and keeps the books: which passed, how many test
# results they reported, how long they took. Sourced by `.ci/run` and `.ci/long`,
# which list their steps in the array `steps`, say in `budget` how many seconds all
# # may take together, and call `run_steps "$@"`.

export CARGO_TERM_COLOR=never
export CARGO_INCREMENTAL=0
# A panic says where it was without; what is not built is not waited for.
export CARGO_PROFILE_DEV_DEBUG=0
logs=$(mktemp -d)
trap 'rm -rf "$logs"' EXIT

passed=0
failed=0
table=()

# Sums "N passed … M failed" over a log: the summaries of cargo test
# ("test result: ok. 3 passed; 0 failed; …") and the closing lines of our own scripts.
results_of() {
  awk '
    /^test result: / { for (i = 2; i <= NF; i++) { if ($i == "passed;") p += $(i-1); if ($i == "failed;") f += $(i-1) } }
    /^[0-9]+ passed, [0-9]+ failed$/ { p += $1; f += $3 }
    END { print p + 0, f + 0 }
  ' "$1"
}

# One step: its own process, no standard input, a limit of time.
run_step() {
  local name=$1 limit=$2 kind=$3 log=$logs/$1 status=0 began=$SECONDS good bad took word
  printf '== %s\n' "$name"
  timeout --kill-after=20 "$limit" bash .ci/steps.sh "$name" >"$log" 2>&1 </dev/null || status=$?
  took=$((SECONDS - began))
  read -r good bad < <(results_of "$log")

  if [ "$kind" = results ] && [ $((good + bad)) -eq 0 ] && ! grep -q '^skipped: ' "$log"; then
    echo "no test result was reported, which proves nothing" >>"$log"
    bad=1
  fi
  if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then bad=1; fi
  if [ "$status" -eq 0 ] && [ $((good + bad)) -eq 0 ]; then good=1; fi
  passed=$((passed + good))
  failed=$((failed + bad))

  word=ok
  if [ "$bad" -gt 0 ]; then
    word=FAILED
    [ "$status" -eq 124 ] && echo "stopped after its limit of $limit s" >>"$log"
    grep -E '^(test .* FAILED|error|thread .* panicked)' "$log" | head -40
    echo "-- the last lines of $name:"
    tail -n 120 "$log"
  fi
  grep -E '^(skipped|note): ' "$log"
  printf '%s: %s in %s s (%s passed, %s failed)\n' "$name" "$word" "$took" "$good" "$bad"
  table+=("$(printf '%-14s %6s s   %-7s %6s passed %4s failed' "$name" "$took" "$word" "$good" "$bad")")
}

run_steps() {
  local line name limit kind wanted known=" "
  for line in "${steps[@]}"; do
    read -r name limit kind <<<"$line"
    known+="$name "
  done
  for wanted in "$@"; do
    case "$known" in
      *" $wanted "*) ;;
      *) echo "no step is called '$wanted'; there are:$known" >&2; exit 2 ;;
    esac
  done

  for line in "${steps[@]}"; do
    read -r name limit kind <<<"$line"
    if [ $# -eq 0 ] || [[ " $* " == *" $name "* ]]; then run_step "$name" "$limit" "$kind"; fi
  done

  echo; printf '%s\n' "${table[@]}"
  printf '%-14s %6s s\n' total "$SECONDS"
  if [ "$SECONDS" -gt "$budget" ]; then echo "note: that is more than the $budget s this should take; make a step shorter"; fi
  echo "$passed passed, $failed failed"
  [ "$failed" -eq 0 ]
}
