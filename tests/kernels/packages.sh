# Where the kernels come from: sourced by `run`, which sets `cache` and `suites`. A function that fails says
# why in `problem`.

problem=""

# The programs that are needed, installed where that is possible.
install_tools() {
  local row tool package missing=()
  for row in qemu-system-x86_64:qemu-system-x86 busybox:busybox-static cpio:cpio mke2fs:e2fsprogs strip:binutils \
    xz:xz-utils apt-get:apt dpkg-deb:dpkg; do
    tool=${row%%:*} package=${row##*:}
    command -v "$tool" >/dev/null || missing+=("$package")
  done
  # The machine has no libraries: a busybox that wants some is of no use.
  if command -v busybox >/dev/null && ldd "$(command -v busybox)" >/dev/null 2>&1; then missing+=(busybox-static); fi
  [ ${#missing[@]} -gt 0 ] || return 0
  problem="these packages are not installed: ${missing[*]}"
  command -v apt-get >/dev/null || return 1
  local as_root=()
  [ "$(id -u)" -eq 0 ] || as_root=(sudo -n)
  { "${as_root[@]}" apt-get update -qq && "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
      apt-get install -y -qq --no-install-recommends "${missing[@]}"; } >"$work/install.log" 2>&1 || {
    problem+="; apt says: $(tail -n 1 "$work/install.log")"
    return 1
  }
}

# The address of a Debian archive as this machine's apt knows it: `debian` or `debian-security`. Where it knows only one
# of them, the other is beside it.
archive() {
  local uris uri
  uris=$(apt-get indextargets --no-release-info --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null | sort -u)
  uri=$(grep -m 1 -E "/$1/?\$" <<<"$uris") && { printf '%s\n' "${uri%/}"; return; }
  while read -r uri; do
    uri=${uri%/}
    case "$uri" in
      */debian-security) printf '%s\n' "${uri%/debian-security}/$1"; return ;;
      */debian) printf '%s\n' "${uri%/debian}/$1"; return ;;
    esac
  done <<<"$uris"
  return 1
}

# The file of keys that this machine's apt checks Debian's packages with, if its sources name one.
keys() {
  local source
  source=$(apt-get indextargets --no-release-info --format '$(REPO_URI) $(SOURCESENTRY)' 'Created-By: Packages' 2>/dev/null |
    awk '$1 ~ /\/debian(-security)?\/?$/ { sub(/:[0-9]+$/, "", $2); print $2; exit }')
  [ ! -r "$source" ] || sed -nE 's,^Signed-By: *(/[^ ]+) *$,\1,p; s,^deb .*signed-by=(/[^] ]+).*$,\1,p' "$source" | head -n 1
}

# apt with lists, packages and settings of its own for one suite: nothing of the machine's is touched.
private_apt() {
  local place=$cache/$1 command=$2
  shift 2
  "$command" -o Dir::State="$place" -o Dir::State::lists="$place/lists" -o Dir::State::status="$place/status" \
    -o Dir::Cache="$place/cache" -o Dir::Etc::sourcelist="$place/sources.list" -o Dir::Etc::sourceparts=/dev/null \
    -o Dir::Etc::preferences=/dev/null -o Dir::Etc::preferencesparts=/dev/null \
    -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false -o Acquire::Languages=none \
    -o APT::Update::Post-Invoke::= -o APT::Sandbox::User=root -o Acquire::Retries=3 "$@"
}

# Fetches the lists of a suite, once a day.
fetch_lists() {
  local suite=$1 place=$cache/$1 base signed
  if [ -n "$(find "$place/fetched" -mtime -1 2>/dev/null)" ]; then return 0; fi
  command -v apt-get >/dev/null || { problem="there is no apt"; return 1; }
  base=$(archive "$2") || { problem="apt knows no archive of Debian"; return 1; }
  signed=$(keys)
  mkdir -p "$place/lists/partial" "$place/cache/archives/partial"
  : >"$place/status"
  echo "deb [arch=amd64${signed:+ signed-by=$signed}] $base $suite main" >"$place/sources.list"
  private_apt "$suite" apt-get update -o APT::Update::Error-Mode=any >"$place/log" 2>&1 || {
    problem="the suite $suite cannot be had: $(grep -m 1 '^[EW]:' "$place/log")"
    # Better the lists of another day than none.
    [ -e "$place/fetched" ]
    return
  }
  touch "$place/fetched"
}

# The kernels of a suite whose lists are there: version and package, the newest last. The variant `cloud` has
# built in what a virtual machine needs. From 6.19 on the kernel itself is in `linux-binary-…`.
kernels_of() {
  private_apt "$1" apt-cache dumpavail | awk '
    /^Package: / { name = $2 }
    /^Version: / && name ~ /^linux-(image|binary)-[0-9][^ ]*-cloud-amd64$/ && name !~ /-unsigned/ {
      print $2, name, (name ~ /^linux-binary/ ? 2 : 1)
    }' | sort -k 1,1V -k 3,3n | cut -d ' ' -f 1,2
}

# Sets `version` and `image` to the newest kernel of this name.
fetch_kernel() {
  local wanted=$1 row label suite place found="" in=""
  for row in "${suites[@]}"; do
    read -r label suite place <<<"$row"
    # A kernel without a row of its own is looked for among the newer ones.
    [ "$label" = "$wanted" ] || { [ "$label" = newest ] && [ -z "$in" ]; } || continue
    in=$suite
    fetch_lists "$suite" "$place" || return 1
    found=$(kernels_of "$suite" | awk -v wanted="$wanted" \
      'wanted == "newest" || $1 == wanted || index($1, wanted ".") == 1 || index($1, wanted "-") == 1' | tail -n 1)
    break
  done
  [ -n "$found" ] || { problem="$in has no such kernel"; return 1; }
  version=${found%% *}
  unpack_kernel "$in" "${found#* }"
}

unpack_kernel() {
  local place=$cache/$1 package=$2 folder
  folder=$cache/kernels/$version
  image=$folder/vmlinuz
  [ ! -s "$image" ] || return 0
  mkdir -p "$folder"
  (cd "$folder" && private_apt "${place##*/}" apt-get download "$package=$version") >"$place/log" 2>&1 || {
    problem="$package cannot be had: $(grep -m 1 '^E:' "$place/log")"
    return 1
  }
  dpkg-deb --fsys-tarfile "$folder/$package"_*.deb |
    tar -x -O --wildcards './boot/vmlinuz-*' './usr/lib/modules/*/vmlinuz' >"$image.part" 2>/dev/null
  [ -s "$image.part" ] || { problem="there is no kernel in $package"; return 1; }
  rm -f "$folder"/*.deb
  mv "$image.part" "$image"
}
