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

# The echo server is driven by a client of three lines of bash; every other example must end by itself.
step_examples() {
  cargo build --locked -p krug --examples
  local source name
  for source in executor/examples/*.rs; do
    name=$(basename "$source" .rs)
    if [ "$name" = echo ]; then
      drive_echo "$target/debug/examples/echo"
    else
      timeout 60 "$target/debug/examples/$name"
    fi
    echo "example $name: ok"
  done
}

drive_echo() {
  local output server port answer tries
  output=$(mktemp)
  "$1" 127.0.0.1:0 >"$output" &
  server=$!
  # shellcheck disable=SC2064 # The process and the file of this call are meant.
  trap "kill $server 2>/dev/null || true; rm -f '$output'" RETURN EXIT
  for tries in $(seq 100); do
    port=$(sed -nE 's/.*127\.0\.0\.1:([0-9]+).*/\1/p' "$output" | head -n 1)
    [ -n "$port" ] && break
    sleep 0.1
  done
  [ -n "$port" ] || { echo "the echo server did not say within ${tries}00 ms where it listens" >&2; return 1; }
  for line in "first" "второе" "third"; do
    exec 3<>"/dev/tcp/127.0.0.1/$port"
    printf '%s\n' "$line" >&3
    IFS= read -r -t 10 answer <&3 || { echo "the echo server did not answer within 10 s" >&2; return 1; }
    exec 3<&-
    [ "$answer" = "$line" ] || { echo "sent '$line', got back '$answer'" >&2; return 1; }
  done
  kill -0 "$server" || { echo "the echo server ended by itself" >&2; return 1; }
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
