// Fetches something behind a Waitroom, and waits politely for its turn when there is a queue. No dependencies.
//   node waiting_client.mjs https://shop.example/api/cart
const sleep = (seconds) => new Promise((done) => setTimeout(done, seconds * 1000));
// Returns {answer, pass}: the site's answer, and what to send as `Authorization: Waitroom <pass>` from then on.
export async function fetchInTurn(url, tell = () => {}, options = {}) {
  let pass = "";
  const send = async (address, more) => {
    const headers = {...more.headers, ...(pass && {authorization: `Waitroom ${pass}`})};
    const answer = await fetch(new URL(address, url), {...more, headers});
    pass = answer.headers.get("waitroom-pass") || answer.headers.get("waitroom-token") || pass;
    return answer;
  };
  // What only asks is asked again for ever: later each time, at random, and never before Retry-After.
  const ask = async (address, method = "GET") => {
    for (let failures = 0; ; failures++) {
      const answer = await send(address, {method}).catch(() => null);
      if (answer?.ok) return await answer.json();
      if (answer && answer.status < 500 && answer.status !== 429) throw new Error(`${address}: ${answer.status}`);
      await sleep(Math.max(answer?.headers.get("retry-after") ?? 0, Math.random() * Math.min(60, 2 ** failures)));
    }
  };
  let answer = await send(url, options);
  if (answer.status !== 429 || !answer.headers.has("waitroom-location")) return {answer, pass};
  const {join, me: mine, queue} = await answer.json();
  for (let me = await ask(join, "POST"), epoch; ; ) {
    pass = me.token || pass;
    tell(me);
    if (me.state === "closed") throw new Error(`nobody is let in any more: ${me.view}`);
    if (me.view === "called" || me.state === "active" || me.state === "off") {
      answer = await send(url, options);
      if (answer.status !== 429) return {answer, pass};
    }
    await sleep(me.poll_after_seconds * (0.9 + 0.3 * Math.random()));
    // Far from the front, the document that all share tells the position. All else is between us and the queue.
    const room = me.state === "waiting" ? await ask(queue) : {near: Infinity};
    const moved = room.polls && (room.generation !== me.generation || room.epoch !== (epoch ?? room.epoch));
    epoch = room.epoch ?? epoch;
    const position = room.polls && !moved && me.score_us > room.frontier_us ? Math.min(me.position, read(room.sketch, me.score_us)) : 0;
    if (position > room.near) {
      const row = (rows) => rows.find(([upTo]) => position <= upTo) ?? [];
      const [, low_minutes, high_minutes] = row(room.waits);
      const wait = low_minutes === undefined ? null : {low_minutes, high_minutes};
      me = {...me, view: room.view, position, wait, poll_after_seconds: row(room.polls)[1]};
    } else {
      if (moved) await sleep(Math.random() * room.spread_seconds);
      me = me.state === "new" || me.state === "missed" ? await ask(join, "POST") : await ask(mine);
    }
  }
}

// The position of a score: linear between two points of the sketch; whoever came later stands behind all of it.
function read(sketch, score) {
  const at = sketch.findIndex(([us]) => us >= score);
  if (at <= 0) return at < 0 ? (sketch.at(-1)?.[1] ?? 0) + 1 : sketch[0][1];
  const [[fromUs, from], [toUs, to]] = [sketch[at - 1], sketch[at]];
  return from + Math.round(((to - from) * (score - fromUs)) / (toUs - fromUs));
}

if (process.argv[1]?.endsWith("waiting_client.mjs")) {
  const {answer} = await fetchInTurn(process.argv[2], (me) => console.error(me.view, me.position || ""));
  console.log(await answer.text());
}
