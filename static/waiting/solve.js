// Looks for the number of a puzzle: in a worker, so that the page stays alive, and in batches, so that it can say how far
// it is. The same file is the page's part and the worker's. SHA-256 is our own, since browsers give theirs on HTTPS only.
"use strict";
const roots = (power) => {
  const found = [];
  for (let n = 2; found.length < 64; n++) {
    let prime = true;
    for (let d = 2; d * d <= n; d++) if (n % d === 0) { prime = false; break; }
    if (prime) { const root = Math.pow(n, power); found.push(((root - Math.floor(root)) * 0x100000000) | 0); }
  }
  return found;
};
const K = Int32Array.from(roots(1 / 3)), START = Int32Array.from(roots(1 / 2).slice(0, 8)), W = new Int32Array(64);
const turn = (x, n) => (x >>> n) | (x << (32 - n));
const block = (state, bytes, from) => {
  for (let i = 0; i < 16; i++, from += 4) W[i] = (bytes[from] << 24) | (bytes[from + 1] << 16) | (bytes[from + 2] << 8) | bytes[from + 3];
  for (let i = 16; i < 64; i++) {
    const x = W[i - 15], y = W[i - 2];
    W[i] = (W[i - 16] + (turn(x, 7) ^ turn(x, 18) ^ (x >>> 3)) + W[i - 7] + (turn(y, 17) ^ turn(y, 19) ^ (y >>> 10))) | 0;
  }
  let [a, b, c, d, e, f, g, h] = state;
  for (let i = 0; i < 64; i++) {
    const one = (h + (turn(e, 6) ^ turn(e, 11) ^ turn(e, 25)) + ((e & f) ^ (~e & g)) + K[i] + W[i]) | 0;
    const two = ((turn(a, 2) ^ turn(a, 13) ^ turn(a, 22)) + ((a & b) ^ (a & c) ^ (b & c))) | 0;
    h = g; g = f; f = e; e = (d + one) | 0; d = c; c = b; b = a; a = (one + two) | 0;
  }
  state[0] += a; state[1] += b; state[2] += c; state[3] += d; state[4] += e; state[5] += f; state[6] += g; state[7] += h;
};
// The blocks that hold nothing but salt are the same for every number.
const solve = (salt, challenge, most, told) => {
  const whole = Math.floor(salt.length / 64) * 64, salted = Int32Array.from(START), rest = salt.length - whole;
  const bytes = Uint8Array.from(salt, (letter) => letter.charCodeAt(0)), wanted = parseInt(challenge.slice(0, 8), 16) | 0;
  for (let from = 0; from < whole; from += 64) block(salted, bytes, from);
  const end = new Uint8Array(128), state = new Int32Array(8);
  for (let number = 0; number <= most; number++) {
    const digits = String(number), length = rest + digits.length, size = length > 55 ? 128 : 64;
    end.fill(0);
    end.set(bytes.subarray(whole));
    for (let i = 0; i < digits.length; i++) end[rest + i] = digits.charCodeAt(i);
    end[length] = 128;
    const bits = (whole + length) * 8;
    end[size - 3] = bits >>> 16; end[size - 2] = bits >>> 8; end[size - 1] = bits;
    state.set(salted);
    block(state, end, 0);
    if (size === 128) block(state, end, 64);
    if (state[0] === wanted && Array.from(state, (word) => (word >>> 0).toString(16).padStart(8, "0")).join("") === challenge) return number;
    if (number % 2000 === 0) told(number);
  }
  return -1;
};

if (typeof document === "undefined") {
  onmessage = ({data}) => postMessage({number: solve(data.salt, data.challenge, data.maxnumber, (tried) => postMessage({tried}))});
} else {
  const {puzzle, join, go} = JSON.parse(document.getElementById("data").textContent);
  const bar = document.createElement("progress"), worker = new Worker(document.currentScript.src), began = Date.now();
  bar.max = puzzle.maxnumber;
  bar.setAttribute("aria-labelledby", "title");
  (document.getElementById("lead") || document.body).append(bar);
  const onward = () => location.replace(go || location.pathname + location.search);
  const again = () => setTimeout(onward, 5000);
  // A network that is away comes back; what is solved is solved.
  const bring = async (solution, tries = 0) => {
    let answer;
    try {
      answer = await fetch(join, {method: "POST", credentials: "same-origin", headers: {"content-type": "application/json"}, body: JSON.stringify({solution})});
    } catch {
      if (tries < 5) setTimeout(() => bring(solution, tries + 1), 2000 * 2 ** tries);
      else again();
      return;
    }
    if (answer.ok) onward();
    else again();
  };
  worker.onerror = again;
  worker.onmessage = ({data}) => {
    if (data.tried !== undefined) { bar.value = data.tried; return; }
    worker.terminate();
    bar.value = bar.max;
    const {algorithm, challenge, salt, signature} = puzzle;
    bring(btoa(JSON.stringify({algorithm, challenge, number: data.number, salt, signature, took: Date.now() - began})));
  };
  worker.postMessage(puzzle);
}
