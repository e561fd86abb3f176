# Reads the plan and what the machine has said; prints a line for each planned program: its name, what became of it, how many
# tests passed and failed, and how many seconds it took. What a program with failures has printed about them goes to
# the file NAME.failures in the folder `output`.

FNR == NR { planned[++count] = $1; next }

/^=== begin / { name = $3; lines = 0; good = bad = closed = 0; p = f = 0; next }

/^=== end / && $3 == name {
  status = $4
  verdict = "failed"
  if (!closed) {
    # Aborted, or ended by its time limit: what had passed by then has passed.
    p = good
    f = bad > 0 ? bad : 1
    verdict = status == 143 || status == 134 ? "did_not_end" : "ended_with_status_" status
  } else if (status != 0 && f == 0) {
    f = 1
    verdict = "ended_with_status_" status
  }
  if (f == 0) verdict = "passed"
  else keep_output(output "/" name ".failures")
  result[name] = verdict " " p " " f " " $5
  name = ""
  next
}

name != "" {
  text[++lines] = $0
  if (/^test .* \.\.\. ok$/) good++
  if (/^test .* \.\.\. FAILED$/) bad++
  if (/^test result: /) {
    closed = 1
    for (i = 2; i <= NF; i++) { if ($i == "passed;") p = $(i - 1); if ($i == "failed;") f = $(i - 1) }
  }
}

END {
  for (i = 1; i <= count; i++) {
    if (planned[i] in result) { print planned[i], result[planned[i]]; continue }
    # The machine stopped before, or while it ran.
    print "nothing was heard of it" >(output "/" planned[i] ".failures")
    print planned[i], "did_not_run 0 1 0"
  }
}

# The part about failures, if there is one; else the end.
function keep_output(file,   i, from) {
  from = lines > 60 ? lines - 60 : 1
  for (i = lines; i >= 1; i--) if (text[i] == "failures:") from = i
  printf "" >file
  for (i = from; i <= lines && i < from + 400; i++) print text[i] >file
  close(file)
}
