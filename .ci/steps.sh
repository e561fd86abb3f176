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
  for row in strace:strace valgrind:valgrind ss:iproute2 curl:curl socat:socat redis-benchmark:redis-tools tshark:tshark; do
    tool=${row%%:*} package=${row##*:}
    command -v "$tool" >/dev/null || missing+=("$package")
  done
  if [ ${#missing[@]} -gt 0 ] && command -v apt-get >/dev/null; then
    local as_root=()
    [ "$(id -u)" -eq 0 ] || as_root=(sudo -n)
    { "${as_root[@]}" apt-get update -qq && "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -qq --no-install-recommends "${missing[@]}"; } || true
  fi
  for row in strace:strace valgrind:valgrind ss:iproute2 curl:curl socat:socat redis-benchmark:redis-tools tshark:tshark; do
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
  cargo clippy --locked -p krug --features console -- -D warnings
}

step_docs() {
  export RUSTDOCFLAGS="-D warnings -D rustdoc::broken_intra_doc_links"
  cargo doc --locked --workspace --no-deps
  # Private items too: their links are what a reader of the source follows.
  cargo doc --locked --workspace --no-deps --document-private-items
}

step_tests() {
  local log
  # What each program of tests reports of its second run, on the other driver.
  KRUG_TEST_COUNTS=$(mktemp)
  export KRUG_TEST_COUNTS
  # Each of the decree's random tests then runs a million schedules: half a minute.
  export KRUG_SCHEDULES="${KRUG_SCHEDULES:-1000000}"
  # A hundred thousand futures are dropped at random moments: some seconds.
  export KRUG_DROPS="${KRUG_DROPS:-100000}"
  log=$(mktemp)
  bash -c "$(readme_command 'cargo test')" 2>&1 | tee "$log"
  grep -q 'Doc-tests krug$' "$log" || { echo "the documentation's examples of krug were not run" >&2; return 1; }
  cat "$KRUG_TEST_COUNTS"
  [ "$(wc -l <"$KRUG_TEST_COUNTS")" -ge 30 ] || { echo "too few programs of tests have run on epoll" >&2; return 1; }
  rm -f "$log" "$KRUG_TEST_COUNTS"
  KRUG_DRIVER=epoll cargo test --locked -p krug --doc --features futures-io,bytes
}

# A thousand simulated worlds in which everything goes wrong, on all processors.
step_storm() {
  # Of the whole workspace, as the step `tests` has built it.
  KRUG_STORMS="${KRUG_STORMS:-1000}" KRUG_REMOVALS="${KRUG_REMOVALS:-200}" \
    cargo test --locked --workspace --test simulated -- --nocapture
  # The key-value store and the journal, with power failures: what was acknowledged is there.
  KRUG_SIM_SEEDS="${KRUG_SIM_SEEDS:-1000}" \
    cargo test --locked --workspace --test simulated_keyvalue --test simulated_disk -- survives_every
}

# Every example does what its head says, on every driver: each has a function `drive_…` here, which is told where the
# program is.
step_examples() {
  cargo build --locked -p krug --examples
  begin_driving
  local source name
  for source in executor/examples/*.rs executor/examples/*/main.rs; do
    [ -e "$source" ] || continue
    name=${source#executor/examples/} name=${name%/main.rs} name=${name%.rs}
    declare -F "drive_$name" >/dev/null || {
      echo "there is no drive_$name in .ci/steps.sh: nobody would notice if the example $name broke" >&2
      return 1
    }
    for KRUG_DRIVER in uring epoll; do
      export KRUG_DRIVER
      "drive_$name" "$target/debug/examples/$name"
      echo "example $name on $KRUG_DRIVER: ok"
      rm -rf "${scratch:?}"/*
    done
    unset KRUG_DRIVER
  done
  # Nobody from outside can talk to a simulated program, but what needs nobody is the same, and a trace says what it was.
  export KRUG_DRIVER=sim KRUG_SIM_TRACE=$scratch/run.txt
  drive_cancel "$target/debug/examples/cancel"
  grep -q '^# the end of seed ' "$KRUG_SIM_TRACE"
  ! "$target/debug/examples/copy" README.md "$scratch/copy" 2>"$scratch/complaint"
  grep -q 'README.md: No such file or directory' "$scratch/complaint"
  unset KRUG_DRIVER KRUG_SIM_TRACE
  echo "examples in a simulation: ok"
}

scratch= server= port= said=
servers=()

# Before the first server: a folder for files, and what makes both go away in any case.
begin_driving() {
  scratch=$(mktemp -d)
  trap stop_servers EXIT
  set -E
  trap 'echo "line $LINENO of .ci/steps.sh failed: $BASH_COMMAND" >&2' ERR
}

# Starts a server and waits until it says where it listens. Sets `server`, its process; `port`; and `said`, from which
# the rest of what it says can be read.
start_server() {
  local line
  exec {said}< <(exec "$@" 2>>"$scratch/complaints")
  server=$!
  servers+=("$server")
  while IFS= read -r -t 60 line <&"$said"; do
    port=$(sed -nE 's/^(core [0-9]+: )?listening on .*:([0-9]+)$/\2/p' <<<"$line")
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
  if [ -s "$scratch/complaints" ]; then
    echo "what the servers complained about:" >&2
    tail -n 20 "$scratch/complaints" >&2
  fi
  rm -rf "$scratch"
}

# The last server is there, and nothing that its clients did has made a task of it panic.
still_runs() {
  kill -0 "$server" || { echo "the server $1 ended by itself" >&2; return 1; }
  ! grep -A 3 panicked "$scratch/complaints" >&2 || return 1
}

# Clients that send what nobody can mean, and go away.
pester() {
  local talk
  for _ in 1 2 3 4 5 6 7 8; do
    exec {talk}<>"/dev/tcp/127.0.0.1/$port"
    { head -c 50000 /dev/urandom >&"$talk"; } 2>/dev/null || true
    exec {talk}<&-
  done
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
  pester
  still_runs echo
}

# All cores share a port, so it has to have a number: one below those that the kernel gives away, at which nobody answers.
drive_sharded() {
  local line chosen
  for _ in 1 2 3 4 5 6 7 8 9 10; do
    chosen=$((20000 + RANDOM % 10000))
    (exec 3<>"/dev/tcp/127.0.0.1/$chosen") 2>/dev/null || break
  done
  start_server "$1" "127.0.0.1:$chosen"
  for line in "first" "второе" "third"; do
    echo_a_line "$port" "$line"
  done
  pester
  still_runs sharded
}

# Told to end, it says so, lets nobody in any more, and ends by itself, though a client is still there.
drive_shutdown() {
  local silent signal
  for signal in INT TERM; do
    start_server "$1" 127.0.0.1:0
    echo_a_line "$port" "before"
    exec {silent}<>"/dev/tcp/127.0.0.1/$port"
    printf 'still here\n' >&"$silent"
    expect_line "$silent" "still here"
    kill "-$signal" "$server"
    expect_line "$said" "no more clients; waiting for 1"
    expect_line "$said" "good bye"
    tail --pid="$server" -s 0.05 -f /dev/null
    exec {silent}<&-
    ! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null
  done
}

# The report says what the environment asks for, whatever that is; its JSON is JSON.
drive_doctor() {
  local status=0
  "$1" >"$scratch/report"
  case $KRUG_DRIVER in
    uring) grep -q '^krug runs on io_uring here: KRUG_DRIVER=uring' "$scratch/report" ;;
    epoll) grep -q '^krug runs on epoll here: KRUG_DRIVER=epoll' "$scratch/report" ;;
  esac
  "$1" --json | grep -q "^  \"driver\": \"$KRUG_DRIVER\"" || return 1
  KRUG_DRIVER=$'no\n"driver"\\\x01' "$1" --json >"$scratch/report.json"
  if command -v python3 >/dev/null; then
    python3 - "$scratch/report.json" <<'PYTHON'
import json, sys
report = json.load(open(sys.argv[1], encoding="utf-8"))
assert report["driver"] is None and 'no\n"driver"\\\x01' in report["reason"], report["reason"]
assert report["findings"][0]["severity"] == "blocks", report["findings"]
PYTHON
  fi
  "$1" --yaml 2>"$scratch/report" || status=$?
  [ "$status" -eq 2 ] && [ "$(wc -l <"$scratch/report")" -eq 1 ]
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
  printf 'a%.0s' {1..1500} >&"$boris"
  timeout 60 grep -aq "that line is too long" <&"$boris"
  exec {anna}<&- {boris}<&- {slow}<&-
  pester
  still_runs chat
}

drive_proxy() {
  local behind=$target/debug/examples/echo line
  start_server "$behind" 127.0.0.1:0
  start_server "$1" 127.0.0.1:0 "127.0.0.1:$port"
  echo_a_line "$port" "through the proxy"
  expect_line "$said" "connection 1: 18 bytes there, 18 bytes back"
  echo_a_line "$port" "twice"
  expect_line "$said" "connection 2: 6 bytes there, 6 bytes back"
  pester
  still_runs proxy
  # Nobody listens behind: the client is told so by the end of its connection.
  start_server "$1" 127.0.0.1:0 127.0.0.1:1
  exec {line}<>"/dev/tcp/127.0.0.1/$port"
  [ -z "$(timeout 60 cat <&"$line")" ]
  exec {line}<&-
  still_runs proxy
}

drive_http() {
  local talk root=$scratch/http
  mkdir -p "$root"
  printf 'a page\n' >"$root/index.html"
  start_server "$1" 127.0.0.1:0 "$root"
  exec {talk}<>"/dev/tcp/127.0.0.1/$port"
  # Two requests in one piece, and a third that ends the connection.
  printf 'GET / HTTP/1.1\r\nHost: a\r\n\r\nHEAD /b HTTP/1.1\r\nHost: a\r\n\r\nGET /../b HTTP/1.0\r\n\r\n' >&"$talk"
  timeout 60 cat <&"$talk" | tr -d '\r' >"$scratch/responses"
  exec {talk}<&-
  grep -vE '^(ETag|Server|Accept-Ranges): ' "$scratch/responses" | diff - <(cat <<'WANTED'
HTTP/1.1 200 OK
Content-Type: text/html; charset=utf-8
Content-Length: 7

a page
HTTP/1.1 404 Not Found
Content-Type: text/plain
Content-Length: 14

HTTP/1.1 403 Forbidden
Content-Type: text/plain
Content-Length: 14
Connection: close

403 Forbidden
WANTED
)
  pester
  still_runs http
}

drive_keyvalue() {
  local talk
  start_server "$1" 127.0.0.1:0 "$scratch/journal"
  exec {talk}<>"/dev/tcp/127.0.0.1/$port"
  printf 'SET hero 32\r\nINCR hero\r\nSET gone 1\r\nDEL gone\r\n*x\r\n' >&"$talk"
  timeout 60 cat <&"$talk" | tr -d '\r' | diff - <(printf '+OK\n:33\n+OK\n:1\n-ERR Protocol error: invalid multibulk length\n')
  exec {talk}<&-
  pester
  still_runs keyvalue
  kill_server "$server"
  start_server "$1" 127.0.0.1:0 "$scratch/journal"
  exec {talk}<>"/dev/tcp/127.0.0.1/$port"
  printf 'GET hero\r\nEXISTS gone\r\nQUIT\r\n' >&"$talk"
  timeout 60 cat <&"$talk" | tr -d '\r' | diff - <(printf '$2\n33\n:0\n+OK\n')
  exec {talk}<&-
}

drive_copy() {
  local place=$scratch/copy
  mkdir "$place"
  head -c 20000001 /dev/urandom >"$place/source"
  chmod 640 "$place/source"
  "$1" "$place/source" "$place/target"
  cmp "$place/source" "$place/target"
  [ "$(stat -c %a "$place/target")" = 640 ]
  : >"$place/empty"
  "$1" "$place/empty" "$place/target"
  [ ! -s "$place/target" ]
  # What cannot be done leaves everything as it was: the source itself, a folder, a device, and a disk that has
  # not the room (here: a bound for the size of files).
  ! "$1" "$place/source" "$place/../copy/source" || return 1
  ! "$1" "$place" "$place/target" || return 1
  ! "$1" "$place/source" /dev/null || return 1
  [ -c /dev/null ]
  ! (trap '' XFSZ; ulimit -f 1000; "$1" "$place/source" "$place/target") || return 1
  [ ! -s "$place/target" ]
  [ "$(ls -A "$place" | wc -l)" -eq 3 ]
  [ "$(stat -c %s "$place/source")" -eq 20000001 ]
}

# ---- programs that nobody here wrote, against the examples

step_interop() {
  cargo build --locked -p krug --examples
  begin_driving
  if command -v curl >/dev/null; then
    interop_curl "$target/debug/examples/http"
    echo "curl: ok"
  else
    echo "skipped: curl against the example http"
  fi
  if command -v redis-benchmark >/dev/null && command -v redis-cli >/dev/null; then
    interop_redis "$target/debug/examples/keyvalue"
    echo "redis: ok"
  else
    echo "skipped: redis-benchmark and redis-cli against the example keyvalue"
  fi
  command -v socat >/dev/null || echo "skipped: socat against sockets, datagrams and pipes"
  # Of the whole workspace, as the step `tests` has built it.
  cargo test --locked --workspace --test interoperation
}

# What curl says of one request: status, bytes of the body, type.
curl_says() {
  curl --silent --show-error --max-time 60 --path-as-is --output "$scratch/body" \
    --write-out '%{http_code} %{size_download} %{content_type}' "$@"
}

wanted_of_curl() {
  local wanted=$1 got
  shift
  got=$(curl_says "$@")
  [ "$got" = "$wanted" ] || { echo "curl $*: wanted '$wanted', got '$got'" >&2; return 1; }
}

interop_curl() {
  local root=$scratch/site site tag
  mkdir -p "$root/folder/.hidden"
  printf 'a page\n' | tee "$root/index.html" "$root/folder/index.html" "$root/with space.txt" >"$root/folder/.hidden/x"
  : >"$root/empty.css"
  head -c 50000000 /dev/urandom >"$root/large.bin"
  ln -s /etc/passwd "$root/link.txt"
  ln -s folder/index.html "$root/inside.html"
  mkfifo "$root/fifo"
  start_server "$1" 127.0.0.1:0 "$root"
  site=http://127.0.0.1:$port

  wanted_of_curl "200 7 text/html; charset=utf-8" "$site/"
  wanted_of_curl "200 7 text/html; charset=utf-8" "$site/folder/?query"
  wanted_of_curl "200 7 text/html; charset=utf-8" --location "$site/folder"
  wanted_of_curl "200 7 text/html; charset=utf-8" "$site/inside.html"
  wanted_of_curl "200 7 text/plain; charset=utf-8" "$site/with%20space.txt"
  wanted_of_curl "200 0 text/css; charset=utf-8" "$site/empty.css"
  wanted_of_curl "200 0 text/html; charset=utf-8" --head "$site/"
  wanted_of_curl "200 7 text/html; charset=utf-8" --http1.0 "$site/"
  wanted_of_curl "404 14 text/plain" "$site/nothing"
  local path
  for path in /link.txt /folder/.hidden/x /../site/index.html /%2e%2e/%2e%2e/etc/passwd /folder/..%2f..%2fx /fifo; do
    wanted_of_curl "403 14 text/plain" "$site$path"
  done
  wanted_of_curl "400 16 text/plain" "$site/%00"
  wanted_of_curl "400 16 text/plain" "$site/%zz"
  wanted_of_curl "405 23 text/plain" --data text "$site/"
  wanted_of_curl "413 22 text/plain" --request GET --data text "$site/"
  wanted_of_curl "414 17 text/plain" "$site/$(printf 'a%.0s' {1..5000})"
  wanted_of_curl "431 36 text/plain" --header "X: $(printf 'a%.0s' {1..9000})" "$site/"
  tag=$(curl --silent --head "$site/" | tr -d '\r' | sed -n 's/^ETag: //p')
  wanted_of_curl "304 0 text/html; charset=utf-8" --header "If-None-Match: $tag" "$site/"

  # Large, whole and in parts, the parts put together again by their places.
  curl --silent --max-time 60 "$site/large.bin" | cmp - "$root/large.bin"
  wanted_of_curl "206 4 application/octet-stream" --range 49999996- "$site/large.bin"
  cmp "$scratch/body" <(tail -c 4 "$root/large.bin")
  wanted_of_curl "206 1000000 application/octet-stream" --range 10-1000009 "$site/large.bin"
  cmp --bytes=1000000 --ignore-initial=0:10 "$scratch/body" "$root/large.bin"
  wanted_of_curl "416 0 application/octet-stream" --range 50000000- "$site/large.bin"
  head -c 30000000 "$root/large.bin" >"$scratch/resumed"
  curl --silent --max-time 60 --continue-at - --output "$scratch/resumed" "$site/large.bin"
  cmp "$scratch/resumed" "$root/large.bin"

  # One connection for all of them, a missing one among them.
  [ "$(curl --silent --output /dev/null --write-out '%{num_connects}' "$site/" --next --silent --output /dev/null \
    --write-out '%{num_connects}' "$site/nothing" --next --silent --output /dev/null --write-out '%{num_connects}' \
    "$site/large.bin" --next --silent --output /dev/null --write-out '%{num_connects}' --head "$site/")" = 1000 ]

  # Clients that go away in the middle hurt nobody; eight at a time get all of it.
  local client clients=()
  for client in 1 2 3 4; do
    curl --silent --max-time 60 "$site/large.bin" | head -c 100000 >/dev/null || true
  done
  for client in 1 2 3 4 5 6 7 8; do
    curl --silent --max-time 60 "$site/large.bin" | cmp - "$root/large.bin" &
    clients+=($!)
  done
  for client in "${clients[@]}"; do wait "$client"; done
  still_runs http
}

redis_says() {
  local wanted=$1 got
  shift
  got=$(timeout 60 redis-cli -p "$port" "$@")
  [ "$got" = "$wanted" ] || { echo "redis-cli $*: wanted '$wanted', got '$got'" >&2; return 1; }
}

interop_redis() {
  local journal=$scratch/store round client
  start_server "$1" 127.0.0.1:0 "$journal"
  timeout 60 redis-benchmark -p "$port" -t ping,get,set,incr -P 16 -n 20000 -r 1000 --csv
  timeout 60 redis-benchmark -p "$port" -t set,incr -c 50 -n 2000 --csv
  redis_says "OK" set hero 33
  redis_says "33" get hero
  redis_says "34" incr hero
  redis_says "" get nobody
  redis_says "1" del hero
  redis_says "0" exists hero
  redis_says "two words" echo "two words"
  redis_says "OK" set hero text
  redis_says "ERR value is not an integer or out of range" incr hero
  redis_says "OK" set number 9223372036854775807
  redis_says "ERR increment or decrement would overflow" incr number
  redis_says "ERR wrong number of arguments for 'get' command" get
  still_runs keyvalue
  for round in 1 2 3; do
    kill_while_writing "$round"
    start_server "$1" 127.0.0.1:0 "$journal"
    for client in one two; do acknowledged_is_there "$round:$client"; done
  done
  redis_says "text" get hero
}

# Two clients write key after key; when one has 300 acknowledged, the server is killed.
kill_while_writing() {
  local first second line
  exec {first}< <(write_keys "$1:one") {second}< <(write_keys "$1:two")
  for _ in {1..300}; do
    IFS= read -r -t 60 line <&"$first"
    [ "$line" = OK ] || { echo "wanted OK, got '$line'" >&2; return 1; }
  done
  kill_server "$server"
  # Each has written its answers to its file when it ends.
  cat <&"$first" >/dev/null
  cat <&"$second" >/dev/null
  exec {first}<&- {second}<&-
}

write_keys() {
  { seq 30000 | sed "s/.*/set key:$1:& value:&/" | timeout 60 redis-cli -p "$port" 2>&1 | sed -u '/^OK$/!q' || true; } |
    tee "$scratch/answers:$1"
}

acknowledged_is_there() {
  local count
  count=$(grep -c '^OK$' "$scratch/answers:$1")
  [ "$count" -gt 0 ] && [ "$count" -lt 30000 ] || { echo "the server was not killed while $1 wrote: $count" >&2; return 1; }
  seq "$count" | sed "s/.*/get key:$1:&/" | timeout 60 redis-cli -p "$port" | diff -q - <(seq "$count" | sed 's/^/value:/') || {
    echo "of $count acknowledged keys of $1 some are gone" >&2
    return 1
  }
  echo "$1: $count acknowledged keys are there after kill -9"
}

alphabet=АБВГДЕЁЖЗИЙКЛМНОПРСТУФХЦЧШЩЪЫЬЭЮЯ

step_demo() {
  local command plain json
  command=$(readme_command 'cargo run')
  plain=$(bash -c "$command")
  printf '%s\n' "$plain"
  json=$(bash -c "$command -- --json")
  printf '%s\n' "$json"
  # The same without a ring.
  KRUG_DRIVER=epoll bash -c "$command -- --json" | grep -F "\"word\":\"$alphabet\"" | grep -F '"driver":"epoll"'
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

# The gate: no operation of the executor takes more instructions than the baseline allows.
step_instructions() {
  command -v valgrind >/dev/null || { echo "skipped: instruction counts, valgrind is not installed"; return; }
  cargo run --locked --release -p krug-benches -- instructions --check
  # Beside it what the same requests take in a bare loop.
  cargo run --locked --release -p krug-benches -- nop --quick --instructions
}

# The compiler takes longer than the models: it makes less of an effort.
step_loom() {
  RUSTFLAGS="--cfg krug_loom" CARGO_TARGET_DIR="$target/loom" \
    CARGO_PROFILE_RELEASE_OPT_LEVEL="${KRUG_LOOM_EFFORT:-1}" CARGO_PROFILE_RELEASE_DEBUG=0 \
    cargo test --locked -p krug --lib --release loom_
}

# A different two for every commit; the same two for the same commit.
step_mutants() {
  bash tests/mutants/self-test
  bash tests/mutants/run --count 2 --seed "$(git rev-parse HEAD)" --trust-baseline
}

# Bugs of others, planted again: each is found by a simulation, and it is said under which seed and how fast.
step_museum() {
  bash tests/museum/run
}

# Runs tests with the address sanitizer, which also looks for leaks at the end. It does not see what the kernel
# writes (the canary tests do); it sees our own slips. Leaks that a test is about are listed in tests/leaks.supp.
sanitized() {
  local host
  host=$(rustc -vV | sed -n 's/^host: //p')
  ASAN_OPTIONS=detect_leaks=1:malloc_context_size=80 LSAN_OPTIONS="suppressions=$PWD/tests/leaks.supp:print_suppressions=0" \
    RUSTC_BOOTSTRAP=1 RUSTFLAGS="-Zsanitizer=address -Cforce-frame-pointers=yes" CARGO_TARGET_DIR="$target/sanitizer" \
    CARGO_PROFILE_DEV_DEBUG=line-tables-only \
    cargo test --locked --target "$host" "$@"
}

# The same on each driver. A process that is told its driver does not run itself once more on the other, without
# what it was told to skip.
on_each_driver() {
  local driver
  for driver in uring epoll; do
    KRUG_DRIVER=$driver "$@"
  done
}

# The parts that own memory; all the rest is in `.ci/long`. Most of the time is the compiler's, so it does not optimise.
step_sanitizer() {
  export CARGO_PROFILE_DEV_OPT_LEVEL=0
  on_each_driver sanitized -p krug --lib -- inflight:: buf:: task:: driver::
  on_each_driver sanitized -p krug-tests --test memory -- --skip a_thousand_runtimes_leave_descriptors_and_memory_flat
}

# What is committed must be enough: no file that only this folder has.
step_clone() {
  local place only_here
  only_here=$(git status --porcelain --ignored | grep -vE '^!! (.*/)?target[^/]*/$' || true)
  if [ -z "$only_here" ]; then
    echo "note: this folder holds what is committed and nothing else, so all steps ran on a clone"
    return
  fi
  place=$(mktemp -d)
  # shellcheck disable=SC2064 # The folder of this call is meant.
  trap "rm -rf '$place'" EXIT
  [ -z "$(git status --porcelain)" ] || echo "note: the folder has uncommitted changes; the clone does not"
  git clone --quiet . "$place/krug"
  CARGO_TARGET_DIR=$(realpath -m "$target") cargo check --locked --workspace --all-targets --manifest-path "$place/krug/Cargo.toml"
}

# ---- steps of .ci/long

step_tests-long() {
  # Among much else a thousand random programs of each kind on all drivers: see tests/FIDELITY.md.
  export KRUG_LONG=1 KRUG_ITERATIONS=10
  export KRUG_SCHEDULES=1000000 KRUG_DECREES=50000 KRUG_WORLDS=4000
  export KRUG_CIRCLES=20 KRUG_CRASHES=60 KRUG_RELABELLINGS=600
  cargo test --locked --workspace --no-fail-fast
}

step_storm-long() {
  KRUG_STORMS=10000 KRUG_REMOVALS=2000 step_storm
}

step_loom-long() {
  LOOM_MAX_PREEMPTIONS=4 KRUG_LOOM_EFFORT=3 step_loom
}

step_mutants-all() {
  bash tests/mutants/self-test
  bash tests/mutants/run --all
}

step_sanitizer-long() {
  on_each_driver sanitized -p krug --lib
  # Freed memory is kept for a while, so that its misuse is seen: what is resident says nothing then. A child that was forked has all that
  # its parent had, and frees none of it; what a core of another thread leaks, because its ring is broken, names no test.
  on_each_driver sanitized -p krug-tests --no-fail-fast -- --skip a_thousand_runtimes_leave_descriptors_and_memory_flat \
    --skip forked_child --skip a_core_whose_driver_breaks_is_reported_and_the_others_live_on
}

# Ten million futures dropped at random moments, on two cores; what was lost is in the last line.
step_drops() {
  KRUG_DROPS="${KRUG_DROPS:-10000000}" cargo test --locked --release -p krug-tests --test random_programs -- \
    --exact no_drop_loses_anything --nocapture | sed -E '/^driver: /d; s/^[0-9]+ futures dropped/note: &/'
}

# Ten thousand runtimes of several cores ended under load, on each driver of the kernel.
step_shutdowns() {
  KRUG_SHUTDOWNS="${KRUG_SHUTDOWNS:-10000}" on_each_driver cargo test --locked --release -p krug-tests --test cores -- \
    --exact shutdowns_while_all_cores_are_busy_are_clean_and_in_time --nocapture | sed -E '/^driver: /d; s/^[0-9]+ shutdowns in/note: &/'
}

# Two million inputs for every decoder.
step_fuzz() {
  KRUG_FUZZ="${KRUG_FUZZ:-2000000}" cargo test --locked --release -p krug-tests --test fuzz -- --nocapture
}

# What tokio-console is told of a program, asked for as it asks. A workspace of its own, whose compiler has settings of its own.
step_console() {
  CARGO_TARGET_DIR=$(realpath -m "$target/console")
  export CARGO_TARGET_DIR
  cd tests/console
  cargo fmt --check
  on_each_driver cargo run --locked | sed 's/^tokio-console was told/note: &/'
}

# krug beside other runtimes, a quick look. A workspace of its own: nothing else needs all those crates.
step_peers() {
  CARGO_TARGET_DIR=$(realpath -m "$target/peers")
  export CARGO_TARGET_DIR
  cd benches/peers
  cargo fmt --check
  cargo clippy --locked --all-targets -- -D warnings
  cargo test --locked
  cargo run --locked --release -- all --quick
}

# The tests on Debian's kernels from 5.10 on, in an emulated machine.
step_kernels() {
  bash tests/kernels/run
}

"step_$1"
