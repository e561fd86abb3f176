# How a bug is planted: in a copy of the tree, so that the tree itself stays as it is. To be sourced, with `tree` set to the top of
# the repository.

# One target folder for all mutants: only what a patch touches is built again. The copy
# lies inside it at a fixed place, because cargo tells packages apart by their path.
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$tree/target}/mutants
case "$CARGO_TARGET_DIR" in /*) ;; *) CARGO_TARGET_DIR=$tree/$CARGO_TARGET_DIR ;; esac
export CARGO_TERM_COLOR=never
copy=$CARGO_TARGET_DIR/tree
log=$CARGO_TARGET_DIR/log

# What git knows or would know, with fresh times of change, so that cargo believes none of its old results.
make_copy() {
  rm -rf "$copy"
  mkdir -p "$copy"
  git -C "$tree" ls-files -z --cached --others --exclude-standard |
    (cd "$tree" && while IFS= read -r -d '' file; do [ -e "$file" ] && printf '%s\0' "$file"; done) |
    tar -C "$tree" --null -T - -cf - | tar -C "$copy" -xmf -
}

# `git apply` without the repository around it, which would take the paths for its own.
apply() {
  (cd "$copy" && GIT_CEILING_DIRECTORIES=$(dirname "$copy") git apply --whitespace=nowarn "$@")
}

# The command with its arguments for the test binary cut off, and told only to build.
building_only() {
  local command=${1%% -- *}
  printf '%s\n' "${command/cargo test/cargo test --no-run}"
}

# Models checked by loom are built with other flags: a folder of their own saves building all twice.
in_copy() {
  local folder=$CARGO_TARGET_DIR
  [[ "$1" == *krug_loom* ]] && folder=$folder/loom
  (cd "$copy" && CARGO_TARGET_DIR=$folder timeout --kill-after=10 "$2" bash -c "$1") >"$log" 2>&1 </dev/null
}
