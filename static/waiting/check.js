// Shows the CAPTCHA of the service that the shop chose, and brings its response to `join`. What the service needs in the
// page stands in one box below the words; all else is said in one paragraph that screen readers speak. When the service
// turns out to be away, the answer of `join` holds work in its place.
(() => {
  "use strict";
  const {data, texts, lang} = waitroom, {captcha, join} = data, {nonce, src} = document.currentScript;
  // As in a preview, the page keeps to its view and asks for nothing: nobody is to be interrupted.
  data.preview = "checking";
  const box = document.createElement("div"), widget = document.createElement("div"), said = document.createElement("p"), acts = document.createElement("p");
  box.id = "check";
  box.setAttribute("role", "group");
  box.setAttribute("aria-labelledby", "title");
  said.setAttribute("role", "alert");
  acts.className = "acts";
  acts.hidden = true;
  box.style.marginBlockStart = "1rem";
  box.append(widget, said, acts);
  const lead = document.getElementById("lead");
  if (lead) lead.after(box);
  else document.body.append(box);

  const here = data.go || location.pathname + location.search;
  const link = (text, href) => acts.append(Object.assign(document.createElement("a"), {className: "go", textContent: text, href}));
  link(texts.go_again, here);
  if (data.plain) link(texts.go_join, data.plain);
  const load = (address) => document.head.append(Object.assign(document.createElement("script"), {src: address, nonce, onerror: failed}));
  const failed = () => {
    said.textContent = texts.checking_failed;
    acts.hidden = false;
    return true;
  };
  let service, shown;
  const again = () => {
    said.textContent = texts.checking_again;
    service.reset(shown);
  };
  const work = (puzzle) => {
    document.getElementById("data").textContent = JSON.stringify({...data, puzzle});
    data.preview = "joining";
    box.remove();
    load(new URL("solve.js", src).href);
  };
  const bring = async (body, tries = 0) => {
    said.textContent = texts.joining_lead;
    let answer, facts;
    try {
      answer = await fetch(join, {method: "POST", credentials: "same-origin", headers: {"content-type": "application/json"}, body: JSON.stringify(body)});
      facts = await answer.json();
    } catch {
      if (tries < 5) setTimeout(() => bring(body, tries + 1), 2000 * 2 ** tries);
      else again();
      return;
    }
    const pause = Number(answer.headers.get("retry-after"));
    if (answer.ok) location.replace(here);
    else if (facts.puzzle) work(facts.puzzle);
    else if (pause) {
      if (facts.state === "blocked") said.textContent = texts.blocked_lead;
      setTimeout(() => bring(facts.solution ? {solution: facts.solution} : body), pause * 1000);
    } else again();
  };

  const spoken = {"zh-Hans": "zh-CN", "zh-Hant": "zh-TW"}[lang] || lang;
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  window.waitroomCheck = () => {
    service = window[captcha.provider];
    const options = {
      sitekey: captcha.site_key,
      theme: dark ? "dark" : "light",
      size: widget.clientWidth < 300 ? "compact" : "normal",
      callback: (response) => bring({captcha: response}),
      "error-callback": failed,
    };
    if (captcha.provider === "hcaptcha") options.hl = spoken;
    else Object.assign(options, {action: captcha.action, language: spoken, "response-field": false});
    try { shown = service.render(widget, options); } catch { failed(); }
  };
  const address = new URL(captcha.script);
  address.searchParams.set("render", "explicit");
  address.searchParams.set("onload", "waitroomCheck");
  setTimeout(() => { if (shown === undefined) failed(); }, 15000);
  load(address.href);
})();
