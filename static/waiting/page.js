// The waiting page. It shows what the server knows of this visitor (`me`), moved on by the document that all share
// (queue.json), and goes to the shop at the visitor's turn. What is shown in which view is a table from the server.
(() => {
  "use strict";
  const $ = (id) => document.getElementById(id);
  const data = waitroom.data = JSON.parse($("data").textContent);
  const {locale, lang, texts, views, milestones} = waitroom;
  Object.assign(texts, data.texts);

  // -- words ------------------------------------------------------------------------------------------------
  const numbers = new Intl.NumberFormat(locale), pairs = new Intl.NumberFormat(locale, {minimumIntegerDigits: 2});
  const plurals = new Intl.PluralRules(lang);
  const hour = new Intl.DateTimeFormat(locale, {timeStyle: "short"});
  // Values are isolated, so that right-to-left text does not turn them over.
  const say = (key, values = {}) => {
    let text = texts[key];
    if (typeof text === "object") text = text[plurals.select(values.n)] || text.other;
    return text.replace(/\{([a-z]+)\}/g, (whole, name) => {
      const value = values[name];
      return "\u2068" + (typeof value === "number" ? numbers.format(value) : value) + "\u2069";
    });
  };
  const clock = (seconds) => {
    const s = Math.max(0, Math.floor(seconds)), days = Math.floor(s / 86400), hours = Math.floor(s / 3600) % 24;
    const time = (days || hours ? pairs.format(hours) + ":" : "") + pairs.format(Math.floor(s / 60) % 60) + ":" + pairs.format(s % 60);
    return (days ? say("days", {n: days}) + " " : "") + "\u2066" + time + "\u2069";
  };
  const rough = (n) => {
    if (n < 1000) return n;
    const step = 10 ** (String(n).length - 3);
    return Math.floor(n / step) * step;
  };
  const placed = (n) => n === 1 ? say("next") : n < 1000 ? numbers.format(n) : say("about", {n: rough(n)});
  const waited = (wait) => {
    if (!wait) return say("wait_unknown");
    const {low_minutes: low, high_minutes: high} = wait;
    if (high === null) return low < 60 ? say("wait_over", {n: low}) : say("wait_over_hour");
    return low ? say("wait_range", {low, n: high}) : say("wait_under", {n: high});
  };

  // -- what is known ----------------------------------------------------------------------------------------
  let me = data.now;
  // Of the store's clock, less ours.
  let offset = me.now_ms - Date.now();
  let heardAt = Date.now(), numbersAt = heardAt, interval = me.poll_after_seconds;
  // Ask `me` next, not queue.json: also where cookies may be refused, as long as the browser has not brought one.
  const alone = () => ["new", "called", "missed", "active", "off"].includes(me.state) || me.view === "cookies_off";
  let own = alone() || !!data.token_url && (window.top !== window || !navigator.cookieEnabled);
  // Confirmed: the browser has brought our place back, so it keeps cookies. Away: all who wait were told that the store is.
  let confirmed = !data.token_url, epoch, away = false;
  let failures = 0, blocked = false, asking = false, askedAt = heardAt, joining = false, going = 0, leftAt = -Infinity;
  let timer = 0, least = Infinity, first = 0, shown = Infinity, pace = 0, jump = false;
  const storeNow = () => Date.now() + offset;
  const key = "waitroom-" + me.room;

  // The first place and the least one shown outlive a reload, so that no place rises and the bar goes on.
  const remember = () => {
    let kept = null;
    if (!data.preview) try { kept = JSON.parse(localStorage.getItem(key)); } catch {}
    if (!kept || kept.score !== me.score_us) kept = {score: me.score_us, first: me.position, least: Infinity};
    first = kept.first || me.position;
    least = kept.least = Math.min(kept.least || Infinity, me.position);
    if (!data.preview) try { localStorage.setItem(key, JSON.stringify(kept)); } catch {}
  };
  const place = () => {
    if (me.state !== "waiting" || !me.position) { shown = least = Infinity; return; }
    // Among those who are put back already; the place may rise again.
    if (me.view === "recovering") return;
    if (remember.score !== me.score_us) { shown = Infinity; remember.score = me.score_us; }
    remember();
    if (jump || shown === Infinity || calm() || shown - least < 3) shown = least;
    else pace = (shown - least) / Math.max(1, interval * 0.8);
    shown = Math.max(shown, least);
    jump = false;
  };
  const calm = () => document.hidden || me.view !== "waiting" || matchMedia("(prefers-reduced-motion: reduce)").matches;
  const isAway = () => failures > 1 || me.view === "reconnecting";
  const viewNow = () => {
    if (data.preview) return data.preview;
    if (joining) return "joining";
    if (blocked) return "blocked";
    if (failures && !navigator.onLine) return "offline";
    if (isAway()) return "reconnecting";
    if (me.state === "active" || me.state === "off") return "admitted";
    if (me.view === "waiting" && (shown === 1 || me.wait && me.wait.high_minutes === 1)) return "near";
    return views[me.view] ? me.view : "new";
  };

  // -- what is shown ----------------------------------------------------------------------------------------
  const put = (id, text) => {
    const element = $(id);
    if (element && element.textContent !== text) element.textContent = text;
  };
  const reveal = (id, is) => { const element = $(id); if (element) element.hidden = !is; };
  let view, told = 0, saidAt = 0, waitTold, warned = false, news = data.now.messages[0] && data.now.messages[0].id;
  // What is said in the same moment is said together.
  const announce = (text) => { put("say", (Date.now() - saidAt < 99 ? $("say").textContent + " " : "") + text); saidAt = Date.now(); };

  const show = () => {
    const before = view, [parts, action, main] = views[view = viewNow()], has = (part) => parts.includes(part);
    $("main").className = view + (failures || isAway() ? " old" : "");
    put("title", say(view + "_heading"));
    const framed = view === "cookies_off" && window.top !== window;
    put("lead", say(framed ? "cookies_off_frame" : view === "called" && data.claimed ? "called_full" : view + "_lead"));
    const waits = has("waits") && (me.wait || view === "waiting");
    const left = me.claim_seconds_left - (Date.now() - heardAt) / 1000, claim = has("claim") && left > 0;
    const opens = has("opens") && me.opens_ms;
    const at = shown < Infinity && has("place") ? Math.ceil(shown) : 0;
    reveal("facts", at || waits || claim || opens);
    reveal("place", at);
    if (at) {
      put("position", placed(at));
      $("position")?.classList.toggle("words", at === 1 || at > 999);
    }
    reveal("waits", waits);
    put("waiting", say(view === "paused" ? "wait_before_pause" : "wait"));
    put("wait", waited(me.wait));
    const rate = me.admitted_per_minute;
    reveal("rate", has("rate") && (rate || me.reason === "capacity"));
    put("rate", me.reason === "capacity" ? say("rate_full") : say("rate", {n: rough(rate)}));
    reveal("behind", has("behind") && me.behind > 0);
    put("behind", say("behind", {n: rough(me.behind || 0)}));
    reveal("opens", opens);
    if (opens) {
      put("opening", say("opens"));
      put("countdown", clock((me.opens_ms - storeNow()) / 1000));
      const minutes = Math.ceil((me.opens_ms - storeNow()) / 60000);
      if (show.minutes > minutes && (minutes === 5 || minutes === 1)) announce(say("say_opens", {n: minutes}));
      show.minutes = minutes;
    }
    reveal("claim", claim);
    put("left", clock(left));
    $("claim")?.classList.toggle("warn", left < 45);
    reveal("missed", has("missed"));
    if (has("missed")) put("missed", missed());
    // A bar that hardly moves discourages.
    const moves = has("progress") && at && first > 9 && rate * 100 >= first;
    reveal("progress", moves);
    if (moves && $("bar")) $("bar").value = 100 * (1 - (at - 1) / first);
    for (const part of ["keep", "turn"]) reveal(part, has(part));
    reveal("notes", has("keep") || has("turn"));
    reveal("tools", has("tools"));
    reveal("code", me.short_code && has("code"));
    put("short", me.short_code || "");
    // A page that checks by itself needs no button for it.
    reveal("go", action && !framed && (action !== "go_check" || isAway() || view === "cookies_off"));
    if (action) put("go", say(action));
    $("go")?.classList.toggle("main", main);
    reveal("tab", framed);
    for (const id of ["home", "info"]) reveal(id, has("links"));
    fresh();
    const name = data.shop ? " \u2013 " + data.shop : "";
    document.title = (at && view !== "paused" ? "(" + numbers.format(rough(at)) + ") " : view === "called" ? "\u25b6 " : "") + say(view + "_title") + name;
    speak(before, at, left, claim);
  };
  const missed = () => [
    me.called_ms && say("missed_at", {time: hour.format(me.called_ms - offset)}),
    me.hold_seconds_left && say("missed_until", {time: hour.format(heardAt + me.hold_seconds_left * 1000)}),
  ].filter(Boolean).join(" ");
  const fresh = () => {
    const age = Math.round((Date.now() - numbersAt) / 1000), late = age > 3 * interval + 2;
    reveal("fresh", views[view][0].includes("fresh"));
    put("fresh", (age < 2 ? say("updated_now") : age < 100 ? say("updated_seconds", {n: age}) : say("updated_minutes", {n: Math.round(age / 60)}))
      + (late || failures ? ". " + say("trying") : ""));
    $("fresh")?.classList.toggle("warn", late || failures > 0);
  };
  // Spoken: a change of state at once, and milestones of place and wait no more often than each half minute.
  const speak = (before, at, left, claim) => {
    const passed = milestones.filter((m) => at && at <= m).length, wait = at && me.wait ? waited(me.wait) : waitTold;
    if (view !== before) {
      if (before) announce(say(view + "_heading") + ". " + $("lead").textContent);
      put("alert", "");
      if (before && view === "called") call();
      warned = false;
      told = passed;
      waitTold = wait;
    } else if ((passed > told || wait !== waitTold) && Date.now() - saidAt > 30000) {
      announce([at && say("say_place", {n: rough(at)}), wait !== waitTold && say("say_wait", {wait})].filter(Boolean).join(" "));
      told = passed;
      waitTold = wait;
    }
    if (claim && left < 45 && !warned) {
      warned = true;
      put("alert", say("claim_soon", {n: Math.ceil(left)}));
      beep();
    }
  };
  const worded = (message) => {
    const tag = [lang, lang.split("-")[0]].find((tag) => message.text[tag]);
    const text = document.createElement("p"), time = document.createElement("time");
    text.textContent = message.text[tag || "*"] || Object.values(message.text)[0];
    text.dir = "auto";
    if (tag) text.lang = tag;
    time.textContent = hour.format(message.at_ms - offset);
    return [text, time];
  };
  const tell = (messages) => {
    if (tell.told === (tell.told = JSON.stringify(messages))) return;
    reveal("news", messages.length);
    $("message")?.replaceChildren(...messages.slice(0, 1).flatMap(worded));
    reveal("earlier", messages.length > 1);
    $("messages")?.replaceChildren(...messages.slice(1).flatMap(worded));
    const newest = messages[0];
    if (newest && newest.id !== news) announce(say("message") + ": " + worded(newest)[0].textContent);
    news = newest && newest.id;
  };

  // -- the turn ---------------------------------------------------------------------------------------------
  // Loads the page first asked for. What came by another method than GET is never sent again.
  const go = () => {
    if (data.preview) return;
    leftAt = Date.now();
    clearTimeout(going);
    going = 0;
    if (data.go) location.assign(data.go);
    else if (data.reload) location.reload();
    else location.replace(location.pathname + location.search);
  };
  // A shop may be slow to answer: what is on its way is not asked for again.
  const goIn = (seconds) => { if (!going && Date.now() - leftAt > 80000) going = setTimeout(go, seconds * 1000); };
  const watched = () => !document.hidden;
  let sound = null, lock = null, wantsLock = false;
  const beep = () => {
    if (!sound) return;
    for (const at of [0, 0.25, 0.5]) {
      const tone = sound.createOscillator(), volume = sound.createGain();
      tone.frequency.value = 660 + 440 * at;
      volume.gain.value = 0.15;
      tone.connect(volume).connect(sound.destination);
      tone.start(sound.currentTime + at);
      tone.stop(sound.currentTime + at + 0.15);
    }
  };
  const call = () => {
    put("alert", say("called_heading"));
    beep();
    $("icon")?.setAttribute("href", "data:image/svg+xml,%3Csvg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 8 8'%3E%3Crect width='8' height='8' rx='2' fill='%23d4380d'/%3E%3Cpath d='M2.5 1.5v5L6.5 4z' fill='%23fff'/%3E%3C/svg%3E");
  };
  // A visible page claims by itself; a hidden one when it is looked at, so that no session goes to nobody.
  const act = () => {
    if (data.preview) return;
    const left = me.claim_seconds_left || 9;
    if (me.view === "called" && watched()) goIn(data.claimed ? Math.max(3, interval) * (1 + Math.random()) : Math.min(3, left / 3));
    else if (me.state === "active" || me.state === "off") goIn(0.5);
    else if (me.view === "missed" && watched() && document.hasFocus()) setTimeout(join, 3000);
  };
  const join = async () => {
    if (me.view !== "missed" || joining) return;
    joining = true;
    show();
    await ask(true);
    joining = false;
    show();
  };

  // -- asking -----------------------------------------------------------------------------------------------
  const later = (seconds) => {
    clearTimeout(timer);
    timer = setTimeout(ask, seconds * 1000);
  };
  const jittered = (seconds) => { interval = seconds; return seconds * (0.9 + 0.3 * Math.random()); };
  const rowOf = (rows, position) => rows.find((row) => position <= row[0]) || rows[rows.length - 1];
  const positionOf = (sketch, score) => {
    const next = sketch.findIndex((point) => point[0] >= score);
    if (next < 0) return sketch.length ? sketch[sketch.length - 1][1] : 0;
    const [high, below] = sketch[next];
    if (!next || high === score) return below;
    const [low, above] = sketch[next - 1];
    return Math.round(above + (below - above) * (score - low) / (high - low));
  };
  // Each returns after how many seconds to ask again.
  const hearMe = (answer) => {
    const lost = answer.state === "new" && me.score_us && !confirmed;
    if (lost) {
      // We were given a place and the browser does not bring it back: it keeps no cookies here.
      me = {...me, state: "cookies_off", view: "cookies_off"};
      if (data.token_url && !data.preview) location.replace(data.token_url);
      return 60;
    }
    const was = me;
    // Who is near the front keeps what was last known, as those do who read the shared document.
    if (answer.view === "reconnecting" && was.position) answer = {...answer, state: was.state, position: was.position, wait: was.wait};
    me = {reason: was.reason, behind: was.behind, opens_ms: was.opens_ms, ...answer};
    if (!answer.wait && answer.view === "paused") me.wait = was.wait;
    confirmed = confirmed || me.score_us > 0;
    away = false;
    offset = me.now_ms - Date.now();
    heardAt = Date.now();
    own = alone() || hearMe.near >= me.position && me.position > 0;
    if (me.messages) tell(me.messages);
    if (me.state === "new") goIn(0.5);
    act();
    return jittered(hearAll.polls && me.position ? Math.min(me.poll_after_seconds, rowOf(hearAll.polls, me.position)[1]) : me.poll_after_seconds);
  };
  const hearAll = (room) => {
    const again = me.generation && room.generation !== me.generation || epoch !== undefined && epoch !== room.epoch;
    epoch = room.epoch;
    hearMe.near = room.near;
    hearAll.polls = room.polls;
    offset = room.made_ms - Date.now();
    tell(room.messages);
    if (room.view === "off") { goIn(1); return 30; }
    if (me.state !== "waiting" && me.state !== "reconnecting") {
      // No place yet: closed, full, or being worked on.
      if (["waiting", "paused", "before"].includes(room.view)) goIn(0.5);
      else if (views[room.view][3]) me = {...me, view: room.view};
      return jittered(me.poll_after_seconds);
    }
    if (room.view === "reconnecting") {
      away = true;
      me = {...me, view: room.view};
      return jittered(rowOf(room.polls, me.position || room.waiting)[1]);
    }
    if (again || away || me.view === "reconnecting") {
      // What all pages learn at once they ask about one by one; who alone was not told a place is told it soon.
      own = true;
      return Math.random() * (again || away ? room.spread_seconds : 1);
    }
    if (me.score_us <= room.frontier_us) { own = true; return 0; }
    // A document made before we joined knows nothing of our place.
    if (me.score_us > room.made_ms * 1000) return jittered(rowOf(room.polls, me.position || Infinity)[1]);
    const position = positionOf(room.sketch, me.score_us), row = room.waits.find((row) => position <= row[0]);
    me = {...me, view: room.view, reason: room.reason, position, behind: room.waiting - position, opens_ms: room.opens_ms,
      admitted_per_minute: room.admitted_per_minute,
      wait: row ? {low_minutes: row[1], high_minutes: row[2]} : room.view === "paused" ? me.wait : null};
    if (position <= room.near) own = true;
    return jittered(rowOf(room.polls, position)[1]);
  };

  const ask = async (joins) => {
    if (asking || data.preview) return;
    asking = true;
    askedAt = Date.now();
    const mine = own || joins === true, stop = new AbortController();
    const patience = setTimeout(() => stop.abort(), 15000);
    let pause = 0, next = 0, answer = null;
    blocked = false;
    try {
      const url = mine ? (joins === true ? data.join : data.me) + (data.place || "") : data.queue;
      const response = await fetch(url, {method: joins === true ? "POST" : "GET", cache: "no-cache", credentials: "same-origin", signal: stop.signal});
      pause = Number(response.headers.get("retry-after")) || 0;
      blocked = response.status === 403 || response.status === 429;
      if (response.status === 404) goIn(2 + 8 * Math.random());
      if (!response.ok) throw new Error(response.status);
      answer = await response.json();
    } catch {}
    clearTimeout(patience);
    asking = false;
    const stepped = shown;
    if (answer) {
      failures = 0;
      numbersAt = Date.now() - 1000 * (answer.age_seconds || 0);
      next = mine ? hearMe(answer) : hearAll(answer);
      place();
    } else {
      failures += 1;
      next = Math.max(pause, 1 + Math.random() * Math.min(59, 2 ** failures));
    }
    later(next);
    show();
    if (answer && least < stepped && stepped < Infinity) walk();
  };
  // The people in the picture take a step when the place falls.
  const walk = () => {
    const people = $("people");
    if (!people || Date.now() - walk.at < 10000) return;
    walk.at = Date.now();
    people.classList.add("step");
    setTimeout(() => people.classList.remove("step"), 1400);
  };
  // Sleeping phones and pages brought back from the browser's cache are behind: ask at once.
  const wake = () => {
    if (document.hidden || data.solver) return;
    jump = true;
    if (wantsLock) awake();
    show();
    // Before it goes anywhere it must be answered: a phone's network wakes later than its screen.
    if (failures || Date.now() - askedAt > 2000) { if (me.state !== "waiting" || !me.position) own = true; ask(); }
    else act();
  };
  addEventListener("online", wake);
  addEventListener("offline", () => ask());
  addEventListener("pageshow", (event) => { if (event.persisted) { leftAt = -Infinity; wake(); } });
  document.addEventListener("visibilitychange", () => {
    if (document.hidden) { clearTimeout(going); going = 0; } else wake();
  });
  for (const input of ["focus", "pointerdown", "keydown"]) addEventListener(input, () => join());
  $("go")?.addEventListener("click", (event) => {
    event.preventDefault();
    if (me.view === "missed") join();
    else if (failures && !blocked) ask();
    else go();
  });

  // -- sound and screen, for those who ask ------------------------------------------------------------------
  $("sound")?.addEventListener("click", (event) => {
    sound = sound ? null : new AudioContext();
    event.currentTarget.setAttribute("aria-pressed", String(!!sound));
    beep();
  });
  const awake = async () => {
    try { lock = await navigator.wakeLock.request("screen"); } catch { lock = null; }
    $("awake").setAttribute("aria-pressed", String(!!lock));
  };
  $("awake")?.addEventListener("click", async () => {
    wantsLock = !wantsLock;
    if (wantsLock) await awake();
    else { await lock?.release(); lock = null; $("awake").setAttribute("aria-pressed", "false"); }
  });
  reveal("awake", "wakeLock" in navigator);

  // -- begin ------------------------------------------------------------------------------------------------
  if (data.solver) document.head.append(Object.assign(document.createElement("script"), {src: data.solver, nonce: document.currentScript.nonce}));
  place();
  tell(me.messages);
  show();
  if (view === "called") call();
  act();
  if (me.state === "new") { if (!data.preview) goIn(0.5); } else later(jittered(interval));
  let ticked = Date.now();
  setInterval(() => {
    const passed = (Date.now() - ticked) / 1000;
    ticked = Date.now();
    if (shown > least && least < Infinity) shown = calm() ? least : Math.max(least, shown - pace * passed);
    show();
  }, 500);
})();
