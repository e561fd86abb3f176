# The steps of `.ci/run` and `.ci/long`, one function each: `bash .ci/steps.sh clippy`.
# A line "skipped: …" or "note: …" on standard output is repeated in the summary.
set -euo pipefail
export CARGO_TERM_COLOR=never
target=${CARGO_TARGET_DIR:-target}

# The README's command that begins with these words, so that what is run is what is promised.
readme_command() {
  local found
  found=$(grep -E "^$1" README.md | sort -u)
  [ -n "$found" ] && [ "$(wc -l <<<"$found")" -eq 1 ] || {
    echo "README.md should hold exactly one command that begins with '$1', it has: ${found:-none}" >&2
    return 1
  }
  printf '%s\n' "$found"
}

# ---- steps of .ci/run

# Programs that some tests look at the kernel with. Without one, those tests say that they were skipped.
step_tools() {
  local row tool package missing=()
  for row in strace:strace valgrind:valgrind ss:iproute2; do
    tool=${row%%:*} package=${row##*:}
    command -v "$tool" >/dev/null || missing+=("$package")
  done
  if [ ${#missing[@]} -gt 0 ] && command -v apt-get >/dev/null; then
    local as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo -n)
    { "${as_root[@]}" apt-get update -qq && "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}"; } || true
  fi
  for row in strace:strace valgrind:valgrind ss:iproute2; do
    tool=${row%%:*} package=${row##*:}
    command -v "$tool" >/dev/null || echo "skipped: what needs $tool (package $package could not be installed)"
  done
}

step_format() {
  cargo fmt --all --check
}

step_clippy() {
  cargo clippy --locked --workspace --all-targets -- -D warnings
  cargo clippy --locked -p krug --no-default-features -- -D warnings
}

step_docs() {
  export RUSTDOCFLAGS="-D warnings -D rustdoc::broken_intra_doc_links"
  cargo doc --locked --workspace --no-deps
  # Private items too: their links are what a reader of the source follows.
  cargo doc --locked --workspace --no-deps --document-private-items
}

step_tests() {
  local log
  # Each of the decree's random tests then runs a million schedules: half a minute.
  export KRUG_SCHEDULES="${KRUG_SCHEDULES:-1000000}"
  # A hundred thousand futures are dropped at random moments: some seconds.
  export KRUG_DROPS="${KRUG_DROPS:-100000}"
  log=$(mktemp)
  bash -c "$(readme_command 'cargo test')" 2>&1 | tee "$log"
  grep -q 'Doc-tests krug$' "$log" || { echo "the documentation's examples of krug were not run" >&2; return 1; }
  rm -f "$log"
}

# Every example does what its head says: each has a function `drive_…` here, which is told where the program is.
step_examples() {
  cargo build --locked -p krug --examples
  scratch=$(mktemp -d)
  trap stop_servers EXIT
  local source name
  for source in executor/examples/*.rs executor/examples/*/main.rs; do
    [ -e "$source" ] || continue
    name=${source#executor/examples/} name=${name%/main.rs} name=${name%.rs}
    declare -F "drive_$name" >/dev/null || {
      echo "there is no drive_$name in .ci/steps.sh: nobody would notice if the example $name broke" >&2
      return 1
    }
    "drive_$name" "$target/debug/examples/$name"
    echo "example $name: ok"
  done
}

scratch= server= port= said=
servers=()

# Starts a server and waits until it says where it listens. Sets `server`, its process; `port`; and `said`, from which
# the rest of what it says can be read.
start_server() {
  local line
  exec {said}< <(exec "$@")
  server=$!
  servers+=("$server")
  while IFS= read -r -t 60 line <&"$said"; do
    port=$(sed -nE 's/^listening on .*:([0-9]+)$/\1/p' <<<"$line")
    [ -z "$port" ] || return 0
  done
  echo "$1 did not say where it listens" >&2
  return 1
}

# Kills a server and waits until it is gone.
kill_server() {
  kill -9 "$1"
  tail --pid="$1" -s 0.05 -f /dev/null
}

stop_servers() {
  [ ${#servers[@]} -eq 0 ] || kill "${servers[@]}" 2>/dev/null || true
  [ -z "$scratch" ] || rm -rf "$scratch"
}

still_runs() {
  kill -0 "$server" || { echo "the server $1 ended by itself" >&2; return 1; }
}

# The next line from a descriptor must be this one.
expect_line() {
  local line
  IFS= read -r -t 60 line <&"$1" || { echo "waited in vain for the line '$2'" >&2; return 1; }
  [ "${line%$'\r'}" = "$2" ] || { echo "wanted '$2', got '$line'" >&2; return 1; }
}

echo_a_line() {
  local talk
  exec {talk}<>"/dev/tcp/127.0.0.1/$1"
  printf '%s\n' "$2" >&"$talk"
  expect_line "$talk" "$2"
  exec {talk}<&-
}

drive_echo() {
  local line
  start_server "$1" 127.0.0.1:0
  for line in "first" "второе" "third"; do
    echo_a_line "$port" "$line"
  done
  still_runs echo
}

drive_cancel() {
  "$1" >"$scratch/cancel"
  diff "$scratch/cancel" - <<'WANTED'
after 50ms: None
the buffer is back: 1048576 bytes of room
read Some(7): in time
dropped while it waited: true
read 8: not lost
WANTED
}

drive_chat() {
  local anna boris slow
  start_server "$1" 127.0.0.1:0
  exec {anna}<>"/dev/tcp/127.0.0.1/$port"
  expect_line "$anna" "* your name?"
  printf 'Anna\r\n' >&"$anna"
  expect_line "$anna" "* welcome, Anna"
  exec {boris}<>"/dev/tcp/127.0.0.1/$port"
  expect_line "$boris" "* your name?"
  printf 'Anna\n' >&"$boris"
  expect_line "$boris" "* that name is taken"
  expect_line "$boris" "* your name?"
  printf 'Борис\n' >&"$boris"
  expect_line "$boris" "* welcome, Борис"
  expect_line "$anna" "* Борис is here"
  printf 'привет\033[2J\n' >&"$anna"
  expect_line "$boris" "Anna: привет[2J"
  # Whoever does not read misses something, is told so, and keeps nobody waiting.
  exec {slow}<>"/dev/tcp/127.0.0.1/$port"
  expect_line "$slow" "* your name?"
  printf 'slow\n' >&"$slow"
  expect_line "$slow" "* welcome, slow"
  expect_line "$anna" "* slow is here"
  expect_line "$boris" "* slow is here"
  { yes "$(printf 'x%.0s' {1..1000})" || true; } | head -n 30000 >&"$boris"
  printf 'that was all\n' >&"$boris"
  timeout 60 grep -q "that was all" <&"$anna"
  timeout 60 grep -aqE "^\* you missed [0-9]+ messages$" <&"$slow"
  # A line without an end is not collected for ever.
  head -c 5000 /dev/zero | tr '\0' a >&"$boris"
  timeout 60 grep -aq "that line is too long" <&"$boris"
  exec {anna}<&- {boris}<&- {slow}<&-
  still_runs chat
}

alphabet=АБВГДЕЁЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ

step_demo() {
  local command plain json
  command=$(readme_command 'cargo run')
  plain=$(bash -c "$command")
  printf '%s\n' "$plain"
  json=$(bash -c "$command -- --json")
  printf '%s\n' "$json"
  if ! command -v python3 >/dev/null; then
    echo "note: no python3, so the demo's JSON is only searched for the word"
    grep -q "\"word\": *\"$alphabet\"" <<<"$json"
    return
  fi
  PYTHONIOENCODING=utf-8 PYTHONUTF8=1 python3 - "$alphabet" "$json" "$plain" <<'PYTHON'
import json, sys
alphabet, told, plain = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
assert alphabet in plain, "the lines for people do not show the word"
assert told["word"] == alphabet, told["word"]
assert told["peers"] == 33 and told["roster"] == 33, (told["peers"], told["roster"])
spoken = told["spoken"]
assert [entry["position"] for entry in spoken] == list(range(1, 34)), "positions out of order"
assert "".join(entry["letter"] for entry in spoken) == alphabet, "the letters do not make the word"
assert len({entry["speaker"] for entry in spoken}) == 33, "somebody spoke twice"
assert told["transport"] == "unix" and told["seed"] is not None and told["replay"], "nothing to repeat the run with"
PYTHON
}

# Not a measurement: that every scenario runs, checks its data and ends.
step_benches() {
  cargo run --locked --release -p krug-benches -- all --quick
}

step_loom() {
  RUSTFLAGS="--cfg krug_loom" CARGO_TARGET_DIR="$target/loom" \
    cargo test --locked -p krug --lib --release loom_
}

# A different ten for every commit; the same ten for the same commit.
step_mutants() {
  bash tests/mutants/self-test
  bash tests/mutants/run --count 10 --seed "$(git rev-parse HEAD)" --trust-baseline
}

# Runs tests with the address sanitizer, which also looks for leaks at the end. It does not see what the kernel
# writes (the canary tests do); it sees our own slips. Leaks that a test is about are listed in tests/leaks.supp.
sanitized() {
  local host
  host=$(rustc -vV | sed -n 's/^host: //p')
  ASAN_OPTIONS=detect_leaks=1:malloc_context_size=80 LSAN_OPTIONS="suppressions=$PWD/tests/leaks.supp:print_suppressions=0" \
    RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address -Cforce-frame-pointers=yes" CARGO_TARGET_DIR="$target/sanitizer" \
    cargo test --locked --target "$host" "$@"
}

# The parts that own memory; all the rest is in `.ci/long`.
step_sanitizer() {
  sanitized -p krug --lib -- inflight:: buf:: task:: driver::
  sanitized -p krug-tests --test memory -- --skip a_thousand_runtimes_leave_descriptors_and_memory_flat
}

# What is committed must be enough: no file that only this folder has.
step_clone() {
  local place
  place=$(mktemp -d)
  # shellcheck disable=SC2064 # The folder of this call is meant.
  trap "rm -rf '$place'" EXIT
  [ -z "$(git status --porcelain)" ] || echo "note: the folder has uncommitted changes; the clone does not"
  git clone --quiet . "$place/krug"
  CARGO_TARGET_DIR=$(realpath -m "$target") cargo build --locked --workspace --all-targets --manifest-path "$place/krug/Cargo.toml"
}

# ---- steps of .ci/long

step_tests-long() {
  export KRUG_LONG=1 KRUG_ITERATIONS=10
  export KRUG_SCHEDULES=1000000 KRUG_DECREES=50000 KRUG_WORLDS=4000
  export KRUG_CIRCLES=20 KRUG_CRASHES=60 KRUG_RELABELLINGS=600
  cargo test --locked --workspace
}

step_loom-long() {
  LOOM_MAX_PREEMPTIONS=4 step_loom
}

step_mutants-all() {
  bash tests/mutants/self-test
  bash tests/mutants/run --all
}

step_sanitizer-long() {
  sanitized -p krug --lib
  # Freed memory is kept for a while, so that its misuse is seen: what is resident says nothing then.
  sanitized -p krug-tests -- --skip a_thousand_runtimes_leave_descriptors_and_memory_flat
}

# Ten million futures dropped at random moments, on two cores; what was lost is in the last line.
step_drops() {
  KRUG_DROPS="${KRUG_DROPS:-10000000}" cargo test --locked --release -p krug-tests --test random_programs -- \
    --exact no_drop_loses_anything --nocapture | grep -v '^driver: '
}

# Two million inputs for every decoder.
step_fuzz() {
  KRUG_FUZZ="${KRUG_FUZZ:-2000000}" cargo test --locked --release -p krug-tests --test fuzz -- --nocapture
}

step_instructions() {
  command -v valgrind >/dev/null || { echo "skipped: instruction counts, valgrind is not installed"; return; }
  cargo run --locked --release -p krug-benches -- nop --quick --instructions
}

"step_$1"
