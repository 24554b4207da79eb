// What moves on the console: figures each second, charts, forecasts, keys. Every form works without it.
const $ = (selector, root = document) => root.querySelector(selector);
const $$ = (selector, root = document) => [...root.querySelectorAll(selector)];
const number = new Intl.NumberFormat("en");
const STALE_MS = 5000;
const SPANS = {"1h": [3_600_000, 10_000], "4h": [14_400_000, 10_000], "48h": [172_800_000, 60_000]};  // how long, asked again after

const say = (name, value) => {
  if (value === null || value === undefined) return name === "rate" || name === "capacity" ? "no limit" : "\u2014";
  if (name === "shop_error_share") return (value * 100).toFixed(1) + "%";
  if (name === "store") return value ? "answers" : "away";
  return typeof value === "number" ? number.format(value) : String(value);
};

// Figures.
const put = (root, now) => {
  for (const element of $$("[data-figure]", root)) {
    const name = element.dataset.figure, text = say(name, now[name]);
    if (element.textContent !== text) element.textContent = text;
    if (name === "queueing") element.dataset.mode = now.mode;
    if (name === "shop_error_share") element.classList.toggle("bad", now[name] > 0.05);
    if (name === "shop_p95_ms") element.classList.toggle("bad", now[name] > 2000);
    if (name === "store") element.classList.toggle("bad", !now[name]);
  }
};
// How old the figures are: those of a store that is away are as old as what was last heard of it.
let heard = 0, arrived = Date.now(), serverAhead = 0, ended = false;
const age = $("#age"), room = $("#room"), behind = $("#behind");
const old = () => {
  const since = Date.now() - heard, stale = heard > 0 && since > STALE_MS;
  document.body.classList.toggle("stale", ended || stale);
  if (ended) return;
  if (age && heard) age.textContent = stale ? `These figures are ${Math.round(since / 1000)} s old; asking again.` : "live";
  if (Date.now() - arrived > STALE_MS && !polling && $("[data-room]")) { askAgain(); listen(); }  // a stream may break off in silence
};
const anchor = (href, textContent, more = {}) => Object.assign(document.createElement("a"), {href, textContent, ...more});
const here = room && `/rooms/${encodeURIComponent(room.dataset.room)}`;
const tellBehind = (words) => behind.replaceChildren(words + " ", anchor(here, "Look at what is in force now"));
const take = (document_) => {
  const mine = room && document_.rooms.find((now) => now.name === room.dataset.room);
  if (room && !mine) return end("This room was removed.", anchor("/", "To the rooms"));
  if (ended) { ended = false; behind.hidden = true; behind.replaceChildren(); }
  arrived = heard = Date.now();
  serverAhead = document_.now_ms - arrived;
  for (const now of document_.rooms) for (const root of $$(`[data-room="${CSS.escape(now.name)}"]`)) {
    put(root, now);
    if (root !== room) root.classList.toggle("stale", !now.store);
  }
  if (mine) takeOne(mine);
  old();
};
const takeOne = (now) => {
  if (!now.store && now.at_ms) heard = Math.min(heard, now.at_ms - serverAhead);
  if (now.point) extend(now.point);
  lookBack();
  if (String(now.version) !== room.dataset.version) {
    behind.hidden = false;
    if (!behind.textContent) tellBehind("Somebody changed this room.");
    marksOf(now.version);
  }
};

// No more is heard here: said once, so that a link keeps the focus that it has.
const end = (words, link, more = "") => {
  if (ended) return;
  ended = true;
  behind.hidden = false;
  behind.replaceChildren(words + " ", link, more);
  age.textContent = "not live";
  old();
};
// A session that is over loses nothing typed: the log-in opens beside, and this page goes on by itself.
const over = () => end("Your session is over.",
  anchor("/login?next=/account", "Log in (in a new tab)", {target: "_blank", rel: "noopener"}), " What you typed here is kept.");

// The stream; where it does not come through, asked for.
let polling = 0, source;
const poll = async () => {
  try {
    const answer = await fetch("/live.json", {cache: "no-store", signal: AbortSignal.timeout(STALE_MS)});
    if (answer.redirected) return over();
    if (!answer.ok) throw new Error(answer.status);
    take(await answer.json());
  } catch { old(); }
};
const askAgain = () => { if (!polling) polling = setInterval(poll, 3000); };
const listen = () => {
  source?.close();
  const mine = source = new EventSource("/live");
  mine.onmessage = (event) => { clearInterval(polling); polling = 0; take(JSON.parse(event.data)); };
  mine.onerror = () => {
    askAgain();
    if (mine.readyState === 2 && mine === source) setTimeout(listen, 5000);
  };
};
if ($("[data-room]")) listen();
setInterval(old, 1000);

// Times in the reader's own zone.
for (const time of $$("time[data-ms]")) {
  const at = new Date(Number(time.dataset.ms));
  time.dateTime = at.toISOString();
  time.title = at.toLocaleString();
}
const ago = (ms) => {  // as moments.py does
  const seconds = Math.max(0, Math.floor((Date.now() + serverAhead - ms) / 1000));
  return seconds < 100 ? `${seconds} s ago` : seconds < 6000 ? `${Math.floor(seconds / 60)} min ago` : `${Math.floor(seconds / 3600)} h ago`;
};
if (room) setInterval(() => {
  if (heard) for (const time of $$(".log time[data-ms]")) time.textContent = ago(Number(time.dataset.ms));
}, 1000);

// Charts on one time axis; what operators did is marked on each.
const charts = [];
let marks = [];
const past = $("#past") && JSON.parse($("#past").textContent);
const colour = (kind) => getComputedStyle(document.documentElement).getPropertyValue({a: "--hue", b: "--good", limit: "--warn", bad: "--bad"}[kind]).trim();
const drawMarks = (plot) => {
  const {ctx, bbox} = plot;
  ctx.save();
  ctx.strokeStyle = colour("limit");
  ctx.setLineDash([4, 4]);
  for (const [at] of marks) {
    const x = plot.valToPos(at / 1000, "x", true);
    if (x >= bbox.left && x <= bbox.left + bbox.width) {
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
    }
  }
  ctx.restore();
};
const rows = (lines, points) => [points.map((p) => p.at_ms / 1000),
  ...lines.map((line) => points.map((p) => p[line.figure] === null ? null : p[line.figure] * line.scale))];
const hours = new Intl.DateTimeFormat("en-GB", {weekday: past?.span === "48h" ? "short" : undefined, hour: "2-digit", minute: "2-digit", second: "2-digit"});
const scale = parseFloat(getComputedStyle(document.documentElement).fontSize) / 16, HEIGHT = Math.round(200 * scale);
const draw = () => {
  const soft = colour("limit") && getComputedStyle(document.documentElement).getPropertyValue("--soft").trim();
  const grid = getComputedStyle(document.documentElement).getPropertyValue("--line").trim();
  for (const figure of $$(".chart")) {
    const lines = JSON.parse(figure.dataset.lines), box = $(".drawing", figure);
    const axis = {stroke: soft, grid: {stroke: grid, width: 1}, ticks: {stroke: grid}, font: `${Math.round(12 * scale)}px system-ui, sans-serif`};
    const plot = new uPlot({
      width: box.clientWidth, height: HEIGHT, cursor: {sync: {key: "room"}}, legend: {live: true},
      scales: {y: {range: (_, low, high) => [0, Math.max(1, high * 1.05)]}},
      axes: [{...axis, space: 75 * scale, size: 40 * scale, values: (_, at) => at.map((one) => hours.format(one * 1000))}, {...axis, size: 60 * scale}],
      series: [{value: (_, at) => at === null ? "\u2014" : hours.format(at * 1000)}, ...lines.map((line) => ({label: line.label, stroke: colour(line.kind), width: 2, points: {show: false}, spanGaps: "bridged" in figure.dataset,
        dash: line.kind === "limit" ? [6, 4] : undefined, value: (_, v) => v === null ? "\u2014" : number.format(Math.round(v * 10) / 10)}))],
      hooks: {draw: [drawMarks]},
    }, rows(lines, past.points), box);
    for (const picture of $$("svg,p", box)) picture.remove();
    charts.push({plot, lines, box, figure});
    $("details", figure).addEventListener("toggle", () => tabulate(charts.find((chart) => chart.figure === figure)));
  }
};
// The table behind a chart, which the server wrote as of loading.
const cell = (value) => value === null ? "\u2014" : value.toLocaleString("en", {maximumFractionDigits: 1});  // as tables.py does
const sparse = (points) => {  // as waitroom/admin/console/tables.py does
  const older = points.slice(0, -20).reverse(), step = Math.max(1, Math.ceil(older.length / 40));
  return [...points.slice(-20).reverse(), ...older.filter((_, number) => number % step === 0)];
};
const tabulate = ({figure, lines}) => {
  if (!$("details", figure).open) return;
  $("details tbody", figure).replaceChildren(...sparse(past.points).map((point) => {
    const row = document.createElement("tr"), at = document.createElement("th");
    at.scope = "row";
    at.textContent = hours.format(point.at_ms);
    row.append(at, ...lines.map((line) => {
      const td = document.createElement("td");
      td.textContent = cell(point[line.figure] === null ? null : point[line.figure] * line.scale);
      return td;
    }));
    return row;
  }));
};
const show = () => { for (const chart of charts) { chart.plot.setData(rows(chart.lines, past.points)); tabulate(chart); } };
const extend = (point) => {
  if (past.span !== "15m" || (past.points.length && point.at_ms <= past.points.at(-1).at_ms)) return;
  past.points.push(point);
  if (past.points.length > 900) past.points.shift();
  show();
};
// Longer spans are of longer steps, and asked for again.
let lookedBack = Date.now();
const lookBack = async () => {
  const [span, every] = SPANS[past.span] || [];
  if (!every || Date.now() - lookedBack < every) return;
  lookedBack = Date.now();
  const until = Math.round(lookedBack + serverAhead);
  const answer = await fetch(`/api/v1${here}/history?since_ms=${until - span}&until_ms=${until}`).catch(() => null);
  if (!answer?.ok) return;
  past.points = (await answer.json()).points;
  show();
};
let askedFor = room ? room.dataset.version : "";
const marksOf = async (version) => {
  if (askedFor === String(version)) return;
  askedFor = String(version);
  const answer = await fetch(`/api/v1/audit?room=${encodeURIComponent(room.dataset.room)}&limit=50`);
  if (!answer.ok) return;
  const lines = (await answer.json()).changes;
  marks = lines.map((line) => [line.at_ms, line.action]);
  for (const {plot} of charts) plot.redraw();
  const last = lines[0];
  if (last) tellBehind(`${last.who}: ${last.action}${Object.entries(last.steps || {}).map(([name, [from, to]]) => ` ${name} ${from ?? "none"} \u2192 ${to ?? "none"}`)}.`);
};
if (past && window.uPlot) {
  marks = past.marks;
  draw();
  addEventListener("resize", () => { for (const {plot, box} of charts) plot.setSize({width: box.clientWidth, height: HEIGHT}); });
}

// Before a limit is applied: what it does to the wait of those who wait.
const minutes = ([low, high]) => high === null ? `over ${low} min` : low ? `${low} to ${high} min` : `under ${high} min`;
for (const form of $$("form[data-forecast]")) {
  const name = form.dataset.forecast, input = form.elements[name], words = $(".forecast", form);
  let timer = 0;
  const forecast = async () => {
    const text = input.value.trim().toLowerCase().replace(/[,\u202f]/g, ""), value = text === "none" ? null : Number(text);
    if (text === "" || Number.isNaN(value)) { words.textContent = ""; return; }
    const answer = await fetch(`/api/v1/rooms/${encodeURIComponent(room.dataset.room)}/forecast`, {
      method: "POST", headers: {"content-type": "application/json"},
      body: JSON.stringify({verb: "change", arguments: {changes: {[name]: value}}}),
    });
    if (!answer.ok) { words.textContent = ""; return; }
    const said = await answer.json();
    const at = value === null ? "Without a limit" : `At ${number.format(value)}`;
    const last = `the last of ${number.format(said.people)}`, now = said.wait_now ? ` (now ${minutes(said.wait_now)})` : "";
    words.textContent = !said.people ? `${at}; nobody waits.`
      : said.wait_then ? `${at}, ${last} waits ${minutes(said.wait_then)}${now}.` : `${at}, how long ${last} waits is not known yet${now}.`;
  };
  input.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(forecast, 250); });
  const steps = $(".steps", form);
  if (steps) {
    steps.hidden = false;
    for (const button of $$("button", steps)) button.addEventListener("click", () => {
      const from = Number(input.value.replace(/,/g, ""));
      const step = Number(button.dataset.step), to = Math.round(from * (1 + step / 100));
      if (Number.isFinite(from)) { input.value = Math.max(0, step > 0 ? Math.max(to, from + 1) : Math.min(to, from - 1)); forecast(); }
    });
  }
}

// Keys, when nothing is being typed.
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.repeat || /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName)) return;
  const form = {p: "pause", r: "resume"}[event.key.toLowerCase()];
  if (form && document.getElementById(form)) { event.preventDefault(); document.getElementById(form).requestSubmit(); }
});
