# The markdown table from lines "scenario round side metric value" (or "... error text").

function row(scenario, label, key, against, key2, better, goal, format) {
  rows++
  r_scenario[rows] = scenario
  r_label[rows] = label
  r_key[rows] = key
  r_against[rows] = against # "node", "lua", or "" for a goal that is a figure of its own
  r_key2[rows] = key2
  r_better[rows] = better # "high" or "low"
  r_goal[rows] = goal # a ratio, or a figure if against is ""; 0: none
  r_format[rows] = format
}

BEGIN {
  row("http_hello", "requests per server CPU-s", "per_cpu_second", "node", "", "high", 2.8, "%.0f")
  row("http_hello", "requests/s", "per_second", "node", "", "high", 0, "%.0f")
  row("http_headers", "requests per server CPU-s", "per_cpu_second", "node", "", "high", 3, "%.0f")
  row("http_headers", "requests/s", "per_second", "node", "", "high", 0, "%.0f")
  row("http_pipelined", "requests/s", "per_second", "node", "", "high", 10, "%.0f")
  row("http_pipelined", "requests per server CPU-s", "per_cpu_second", "node", "", "high", 0, "%.0f")
  row("tcp_echo", "messages per server CPU-s", "per_cpu_second", "node", "", "high", 1.5, "%.0f")
  row("tcp_echo", "messages/s", "per_second", "node", "", "high", 0, "%.0f")
  row("startup", "wall ms, against lua5.4", "wall_ms", "lua", "", "low", 1.5, "%.2f")
  row("startup", "CPU ms, against lua5.4", "cpu_ms", "lua", "", "low", 1.5, "%.2f")
  row("startup", "peak RSS MiB, against lua5.4", "rss_mib", "lua", "", "low", 2, "%.2f")
  row("startup", "wall ms", "wall_ms", "node", "", "low", 0, "%.2f")
  row("startup", "peak RSS MiB", "rss_mib", "node", "", "low", 0, "%.2f")
  row("idle", "bytes per idle connection", "bytes_per_connection", "", "", "low", 1024, "%.0f")
  row("timers", "1 M timers, CPU ms", "cpu_ms", "node", "", "low", 0.35, "%.0f")
  row("timers", "1 M timers, peak RSS MiB", "rss_mib", "node", "", "low", 0.4, "%.0f")
  row("await", "settled promise, ns", "ns", "node", "", "low", 0.65, "%.1f")
  row("spawn", "spawn+finish, 1 M at once, ns", "ns", "node", "queue_ns", "low", 0.35, "%.0f")
  row("spawn", "same, Node's then(async)", "ns", "node", "then_ns", "low", 0, "%.0f")
  row("spawn", "spawn+finish, 1000 at a time, ns", "batched_ns", "node", "queue_batched_ns", "low", 0, "%.0f")
  row("spawn", "same, Node's then(async)", "batched_ns", "node", "then_batched_ns", "low", 0, "%.0f")
}

{
  if ($2 > rounds) rounds = $2
  if ($4 == "error") {
    text = $0
    sub(/^[^ ]+ [^ ]+ [^ ]+ error /, "", text)
    error[$1, $3] = text
  } else {
    value[$1, $3, $4, $2] = $5
  }
}

function sort(list, n,    i, k, x) {
  for (i = 2; i <= n; i++) {
    x = list[i]
    for (k = i - 1; k >= 1 && list[k] > x; k--) list[k + 1] = list[k]
    list[k + 1] = x
  }
}

function middle(list, n) {
  sort(list, n)
  return n % 2 ? list[(n + 1) / 2] : (list[n / 2] + list[n / 2 + 1]) / 2
}

# The median over the rounds, "" if there is none.
function median(scenario, side, key,    r, n, list) {
  n = 0
  for (r = 1; r <= rounds; r++)
    if ((scenario, side, key, r) in value) list[++n] = value[scenario, side, key, r] + 0
  return n ? middle(list, n) : ""
}

function figure(scenario, side, key, format,    m) {
  m = median(scenario, side, key)
  if (m != "") return sprintf(format, m)
  if ((scenario, side) in error) return "error: " error[scenario, side]
  return "–"
}

function shorten(text, scenario, side) {
  if (text !~ /^error: /) return text
  return shown[scenario, side]++ ? "error" : text
}

# The ratios of two sides over the rounds: their median, "" if there is none; n of them in list.
function ratios(scenario, side, key, side2, key2,    r) {
  n = 0
  for (r = 1; r <= rounds; r++)
    if (((scenario, side, key, r) in value) && ((scenario, side2, key2, r) in value))
      if (value[scenario, side2, key2, r] > 0)
        list[++n] = value[scenario, side, key, r] / value[scenario, side2, key2, r]
  return n ? middle(list, n) : ""
}

function report(i,    scenario, side, key2, m, ratio, goal, met, form, halo, other) {
  scenario = r_scenario[i]
  side = r_against[i] == "" ? "node" : r_against[i]
  key2 = r_key2[i] == "" ? r_key[i] : r_key2[i]
  form = r_better[i] == "high" ? "x%.2f" : "%.2fx"
  halo = figure(scenario, "halo", r_key[i], r_format[i])
  other = figure(scenario, side, key2, r_format[i])
  halo = shorten(halo, scenario, "halo")
  other = shorten(other, scenario, side)
  if (r_against[i] == "lua") other = "lua5.4: " other

  ratio = met = "–"
  m = ratios(scenario, "halo", r_key[i], side, key2)
  if (n) {
    ratio = sprintf(form, m)
    if (n > 1) ratio = ratio sprintf(" (%.2f to %.2f)", list[1], list[n])
  }
  if (r_goal[i] == 0) {
    goal = "–"
  } else {
    if (r_against[i] == "") {
      goal = "<= " r_goal[i]
      m = median(scenario, "halo", r_key[i])
      if (m != "") met = m <= r_goal[i] ? "yes" : "NO"
    } else {
      goal = r_better[i] == "high" ? ">= x" r_goal[i] : "<= " r_goal[i] "x"
      if (n) met = (r_better[i] == "high" ? m >= r_goal[i] : m <= r_goal[i]) ? "yes" : "NO"
    }
    if ((scenario, "halo") in error) met = "NO"
  }
  printf "| %s | %s | %s | %s | %s | %s | %s |\n", scenario, r_label[i], halo, other, ratio, goal, met
}

END {
  wanted = " " only " "
  print "| scenario | metric | Halo | Node | ratio | goal | met? |"
  print "|---|---|---|---|---|---|---|"
  for (i = 1; i <= rows; i++)
    if (index(wanted, " " r_scenario[i] " ")) report(i)

  loads = split("http_hello http_headers http_pipelined tcp_echo", load, " ")

  # What is there to win.
  for (i = 1; i <= loads; i++) {
    m = median(load[i], "bare", "per_cpu_second")
    if (m == "") continue
    if (!bare_noted++) print "\nA bare epoll loop in C that parses nothing, per server CPU-s:\n"
    text = sprintf("%.0f", m)
    m = ratios(load[i], "bare", "per_cpu_second", "node", "per_cpu_second")
    if (n) text = text sprintf(", x%.2f of Node", m)
    m = ratios(load[i], "halo", "per_cpu_second", "bare", "per_cpu_second")
    if (n) text = text sprintf("; Halo reaches %.0f %% of it", 100 * m)
    print "- " load[i] ": " text
  }

  # Whether a figure per second of wall time is the server's or the load generator's.
  sides = split("halo Halo node Node bare Bare", side, " ")
  for (i = 1; i <= loads; i++) {
    text = ""
    for (k = 1; k <= sides; k += 2) {
      m = median(load[i], side[k], "server_busy")
      if (m == "") continue
      text = text sprintf("; %s: server %.0f %%, generator %.0f %%", side[k + 1], m,
                          median(load[i], side[k], "generator_busy"))
    }
    if (text != "") {
      if (!noted++) print "\nHow busy the CPUs of server and load generator were:\n"
      print "- " load[i] ": " substr(text, 3)
    }
  }
}
