# The machine: what is on its disks, how it is started, and what its tests have said. Sourced by `run`.

# Where cargo puts what is built for the machine: other flags than usual would make it build everything anew.
built=${CARGO_TARGET_DIR:-target}/kernels

# Builds all test programs without shared libraries and lists them in $work/programs: name and path. The profile is that
# of `cargo test`, whose debug assertions watch what the kernel answers.
build_tests() {
  RUSTFLAGS="-C target-feature=+crt-static" CARGO_TARGET_DIR=$built CARGO_PROFILE_TEST_DEBUG=0 CARGO_INCREMENTAL=0 \
    cargo test --locked --no-run --target x86_64-unknown-linux-gnu -p krug -p krug-tests -p krug-consensus \
    --message-format=json-render-diagnostics >"$work/messages" || return 1
  # One message a line; what is no test, but has a path, is a program that tests start.
  sed -nE 's/^.*"profile":\{[^}]*"test":(true|false)\}.*"executable":"([^"]+)".*$/\1 \2/p' "$work/messages" |
    while read -r is_test path; do
      name=$(basename "$path")
      case "$is_test $path" in
        true*) printf '%s %s\n' "${name%-*}" "$path" ;;
        *examples*) ;;
        *) printf '%s %s\n' "$name" "$path" >>"$work/helpers" ;;
      esac
    done | sort >"$work/programs"
  [ -s "$work/programs" ]
}

# Whether a test program is run at all.
is_chosen() {
  local row
  for row in "${left_out[@]}"; do [ "${row%%:*}" != "$1" ] || return 1; done
  [ -z "$tests" ] || [[ ",$tests," == *",$1,"* ]]
}

# A disk with the programs, each under its absolute path, and one with nothing, for the files of the tests.
pack_programs() {
  local root=$work/root name path helper
  mkdir -p "$root/programs"
  while read -r name path; do
    is_chosen "$name" || continue
    strip --strip-unneeded -o "$root/programs/$name" "$path" || return 1
  done <"$work/programs"
  [ -n "$(ls -A "$root/programs")" ] || { echo "no test program is called '$tests'" >&2; return 1; }
  while read -r name path; do
    helper=$root/helpers$path
    mkdir -p "$(dirname "$helper")" && strip --strip-unneeded -o "$helper" "$path" || return 1
  done <"$work/helpers"
  make_disk "$work/programs.disk" 1024M -d "$root"
}

# An image with holes, so that it takes only the place of what is in it.
make_disk() {
  local path=$1 size=$2
  shift 2
  rm -f "$path"
  truncate -s "$size" "$path" && mke2fs -q -t ext4 -F "$@" "$path"
}

# What the kernel starts with: a busybox, `init`, which finds the rest on the disks, and what it is to do.
pack_beginning() {
  local place=$1 root=$1/beginning
  mkdir -p "$root"/{bin,dev,etc,proc,sys,tmp,programs}
  cp "$(command -v busybox)" "$root/bin/busybox" && cp "$here/init" "$root/init" && cp "$place/plan" "$place/settings" "$root/etc" &&
    dirname "$(dirname "$(head -n 1 "$work/helpers" | cut -d ' ' -f 2)")" | sed 's,$,/tmp,' >"$root/etc/files" &&
    chmod 755 "$root/init" && (cd "$root" && find . | cpio --quiet -o -H newc -R 0:0 | gzip -1) >"$place/beginning.gz" &&
    rm -r "$root"
}

# What `init` is to do: a line for each program, with the tests that are not for it.
write_plan() {
  local driver=$1 name path row for_kernel for_driver program test arguments
  while read -r name path; do
    is_chosen "$name" || continue
    # Without a filter names are whole ones, so that nothing else is left out.
    arguments=" ${filter:---exact}"
    if [ "$features" = yes ]; then
      [ "$name" = krug ] || continue
      arguments=" $feature_test --nocapture"
    fi
    for row in "${unfit[@]}"; do
      read -r for_kernel for_driver program test _ <<<"$row"
      # shellcheck disable=SC2053 # The rows are patterns.
      [[ $name == $program ]] && [[ $version == $for_kernel ]] && [[ $driver == $for_driver ]] || continue
      arguments+=" --skip $test"
    done
    printf '%s%s\n' "$name" "$arguments"
  done <"$work/programs"
}

# Boots the kernel `image`, lets it run the tests with a driver, and adds up what they say. A kernel that does not come
# up is started anew: on a busy host an emulated processor may be away for so long that the other one waits for ever.
run_on() {
  local driver=$1 began=$SECONDS place=$work/$version-$1 status=0 attempt
  mkdir -p "$place"
  write_plan "$driver" >"$place/plan"
  printf 'export %s\n' "KRUG_DRIVER=$driver" "KRUG_PATIENCE=$patience" "${settings[@]}" >"$place/settings"
  pack_beginning "$place" || { echo "what the kernel starts with could not be packed" >&2; exit 1; }
  for attempt in 1 2 3; do
    make_disk "$place/files.disk" 2048M || { echo "no disk could be made" >&2; exit 1; }
    : >"$place/said"
    start_machine "$place" &
    stop_unless_up $! "$place/said" && break
    echo "  attempt $attempt: the kernel did not come up in $boot_seconds s"
  done
  wait $! || status=$?
  rm -f "$place/files.disk"
  report "$driver" "$place" "$status" $((SECONDS - began))
}

# True once the machine says something, or has ended; else it is ended.
stop_unless_up() {
  local waited
  for ((waited = 0; waited < boot_seconds; waited++)); do
    if [ -s "$2" ] || ! kill -0 "$1" 2>/dev/null; then return 0; fi
    sleep 1
  done
  kill "$1"
  wait "$1"
  return 1
}

start_machine() {
  local place=$1
  exec timeout --kill-after=10 "$seconds" nice -n 10 qemu-system-x86_64 -accel tcg,thread=multi -cpu max,la57=off \
    -smp "$processors" -m "$memory" -nodefaults -no-user-config -display none -no-reboot \
    -kernel "$image" -initrd "$place/beginning.gz" \
    -append "console=ttyS0 quiet loglevel=4 panic=-1 krug_seconds=$program_seconds" \
    -serial "file:$place/console" -serial "file:$place/said" \
    -drive "file=$work/programs.disk,format=raw,if=none,id=programs,readonly=on" -device nvme,drive=programs,serial=programs \
    -drive "file=$place/files.disk,format=raw,if=none,id=files,cache=unsafe" -device nvme,drive=files,serial=files \
    </dev/null >"$place/qemu" 2>&1
}

# Prints what a run has said, and adds to `passed` and `failed`.
report() {
  local driver=$1 place=$2 status=$3 took=$4 good=0 bad=0 name result p f s
  [ "$status" -eq 0 ] || sed 's/^/qemu: /' "$place/qemu"
  grep -aE 'BUG:|WARNING:|Oops|panic|hung task|blocked for more' "$place/console" | head -20 | sed 's/^/the kernel says: /'
  awk -f "$here/results.awk" -v output="$place" "$place/plan" "$place/said" >"$place/results"
  while read -r name result p f s; do
    good=$((good + p)) bad=$((bad + f))
    printf '  %-18s %5s passed %3s failed  %5s s\n' "$name" "$p" "$f" "$s"
    if [ "$f" -gt 0 ]; then
      printf '    %s\n' "$result" | tr _ ' '
      sed 's/^/    | /' "$place/$name.failures"
    fi
  done <"$place/results"
  grep -ah '^skipped: ' "$place/said" | sort -u | sed 's/^/  /'
  echo "$version $driver: $good passed, $bad failed, in $took s"
  passed=$((passed + good)) failed=$((failed + bad))
}

# The lines "feature: NAME: VALUE" that the kernels' runs have said, as a table.
print_features() {
  awk '
    FNR == 1 { column = FILENAME; sub(/\/said$/, "", column); sub(/.*\//, "", column); columns[++width] = column }
    sub(/^feature: /, "") {
      split($0, cell, ": ")
      if (!(cell[1] in seen)) { seen[cell[1]] = 1; rows[++height] = cell[1] }
      value[cell[1], width] = cell[2]
    }
    END {
      line = "| |"; rule = "|---|"
      for (c = 1; c <= width; c++) { line = line " " columns[c] " |"; rule = rule "---|" }
      print line; print rule
      for (r = 1; r <= height; r++) {
        line = "| " rows[r] " |"
        for (c = 1; c <= width; c++) line = line " " value[rows[r], c] " |"
        print line
      }
    }' "$@"
}
