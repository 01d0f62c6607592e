// The page: it asks what is newest, shows it with its age, and says when it has no answer.
import * as draw from "./draw.js";
import { chosen, showProducts } from "./products.js";
import { ago, byId, clock, fixed, put, rowsOf, span } from "./text.js";

const NOW_MS = 100, IMAGE_MS = 100, CHARTS_MS = 1000, FRAME_MS = 500, TICK_MS = 250, LOST_MS = 1500, AGAIN_MS = 500;
const BEHIND_S = 1; // from then on it does not keep up
const OLD_S = { seen: 2, frame: 6, daemon: 3 };
const SIGN = { running: "●", finished: "■", stale: "▲", absent: "○", dead: "✕", lost: "✕" };
const choice = { kind: "xrays", low: 0, high: 0, log: true, cams: false };
const ages = new Map(); // of the parts of the page: {at: performance.now(), age: s, limit: s}
let paused = false, answered = performance.now(), newest = null, frameShown = -1, drawn = false, bands = [], charted = 0, ticked = performance.now();
const products = new Map(), written = new Map();

// Asking

if (location.hash.length > 1) {
  sessionStorage.setItem("token", location.hash.slice(1));
  history.replaceState(null, "", "/");
}

/** Return whether a fault is that of the line: no connection, or no answer in time. */
function ofTheLine(fault) {
  return fault instanceof TypeError || (fault instanceof DOMException && ["AbortError", "TimeoutError"].includes(fault.name));
}

async function ask(path, patience = 5000) {
  const token = sessionStorage.getItem("token");
  const headers = token ? { authorization: `Bearer ${token}` } : {};
  const answer = await fetch(path, { headers, cache: "no-store", signal: AbortSignal.timeout(patience) });
  if (answer.status === 401 && !byId("locked").open) byId("locked").showModal();
  return answer;
}

/** Do something again and again, at most every so many ms; while nobody looks, not at all. */
async function again(every, work) {
  for (;;) {
    const began = performance.now();
    let wait = every;
    if (!document.hidden && !paused) {
      try { await work(); } catch (fault) { if (ofTheLine(fault)) wait = Math.max(every, AGAIN_MS); else console.error(fault); }
    }
    await new Promise((done) => setTimeout(done, Math.max(20, wait - (performance.now() - began))));
  }
}

async function askNow() {
  const answer = await ask("/v1/now");
  if (!answer.ok) return;
  newest = await answer.json();
  answered = performance.now();
  show(newest);
}

async function askImage() {
  if (!drawn || !newest || !newest.seen.image_shape || !bands.length) return;
  const answer = await ask(`/v1/image?kind=${choice.kind}&low=${choice.low}&high=${choice.high}`);
  if (!answer.ok) return;
  const shape = answer.headers.get("x-shape").split(",").map(Number);
  const total = draw.counts(new Uint32Array(await answer.arrayBuffer()), shape, newest.seen.plane, choice.log);
  put("counts", `${total.toLocaleString("en")} ${choice.kind === "tracks" ? "pixels of tracks" : "events"}`);
}

async function askFrame() {
  if (!drawn || !newest || newest.kind !== "camera") return;
  draw.zoomed();
  const answer = await ask(`/v1/frame?after=${frameShown}&cams=${choice.cams ? 1 : 0}`);
  if (answer.status !== 200) return;
  const found = await answer.json();
  frameShown = found.sequence;
  ages.set("frame", { at: performance.now(), age: found.age_s, limit: OLD_S.frame });
  draw.frame(found);
  const kinds = ["kept", "screened", "cut"].map((kind) => found.events.kind.filter((one) => one === kind).length);
  const network = found.network ? `; maps: ${found.network}${found.own ? "" : ", which does not decide here"}` : "";
  put("frame-told", `read-out ${found.sequence}: ${kinds[0]} X-rays, ${kinds[1]} screened, ${kinds[2]} cut, ${found.tracks.kev.length} tracks${network}`);
}

async function askProducts() {
  if (!newest) return;
  let changed = false;
  for (const name of new Set([...Object.keys(newest.products), ...products.keys()])) {
    const at = newest.products[name];
    if (at === undefined) { products.delete(name); written.delete(name); changed = true; continue; }
    if (written.get(name) === at) continue;
    const answer = await ask(`/v1/products/${encodeURIComponent(name)}`);
    if (!answer.ok) continue;
    products.set(name, await answer.json());
    written.set(name, at);
    changed = true;
  }
  if (changed) showProducts(products, newest.kind);
}

// Showing

function show(now) {
  const { seen, daemon } = now;
  for (const card of document.querySelectorAll(".camera, .sky")) card.hidden = !card.classList.contains(now.kind);
  byId("main").classList.remove("waiting");
  if (now.kind === "camera" && !bands.length) fillBands(now.edges_kev);
  const at = performance.now();
  if (seen.age_s !== undefined) ages.set("seen", { at, age: seen.age_s, limit: OLD_S.seen });
  const alive = Object.values(daemon.processes).filter((one) => one.age_s !== null);
  if (alive.length) ages.set("daemon", { at, age: Math.max(...alive.map((one) => one.age_s)), limit: OLD_S.daemon });
  for (const [name, when] of Object.entries(now.products)) ages.set(name, { at, age: now.time - when, limit: now.limits_s[name] || Infinity });
  const sky = [chosen.window, `map of ${chosen.window}`].map((name) => ages.get(name)).filter(Boolean);
  if (sky.length) ages.set("sky", sky.reduce((a, b) => (a.age < b.age ? a : b)));
  showState(now);
  showProcesses(daemon);
  showLosses(daemon);
  showVersions(now);
  if (seen.spectra) showSeen(seen);
}

/** Return how many seconds the stream is behind its camera, beyond what is the view's own age; 0 if it keeps up. */
function behind(seen) {
  const lag = Math.max(0, (seen.lag_s ?? 0) - (seen.age_s ?? 0));
  return seen.open && lag > BEHIND_S ? lag : 0;
}

function showState({ seen, daemon, view }) {
  const late = behind(seen), state = daemon.state === "running" && late ? "stale" : daemon.state;
  byId("state").className = `badge ${state}`;
  const words = state === "absent" ? "no daemon yet" : late && daemon.state === "running" ? `behind ${ago(late)}` : state;
  put("state", `${SIGN[state]} ${words}`);
  document.title = `${SIGN[state]} raysieve ${words}`;
  put("camera", seen.camera || "");
  put("run", seen.run ? `run ${seen.run}${seen.open ? "" : ", ended"}` : `waiting for a stream at ${view.out}`);
  put("newest", seen.newest >= 0 ? `read-out ${seen.newest.toLocaleString("en")}` : "");
  const lines = (daemon.alarm || []).map((line) => `${clock(line.at)} ${line.process}: ${line.text}`);
  for (const [name, one] of Object.entries(daemon.processes)) {
    if (["dead", "stale"].includes(one.state)) lines.unshift(`${name} is ${one.state}${one.error ? `: ${one.error}` : ""}`);
  }
  if (daemon.error) lines.push(daemon.error);
  byId("alarm").hidden = !lines.length;
  put("alarm", lines.join("\n"));
}

function showProcesses(daemon) {
  const rows = [], spans = [];
  for (const [name, one] of Object.entries(daemon.processes)) {
    if (one.state === "absent") { rows.push({ kind: "absent", cells: [name, "○ absent", "", "", "", "", "", "", "", one.error] }); continue; }
    const over = ["finished", "dead"].includes(one.state);
    const recent = (daemon.alarm || []).find((line) => line.process === name);
    const notes = [one.state === "running" && recent ? `${fixed(daemon.now - recent.at, 0)} s ago: ${recent.text}` : "", one.restarts ? `replaced ${one.restarts} times, the last: ${one.reason}` : "", one.error,
      ...Object.entries(one.notes).map(([what, n]) => `${what} ${n.toLocaleString("en")}`)].filter(Boolean).join("; ");
    rows.push({ kind: one.state === "running" && recent ? "bad" : one.state, cells: [name, `${SIGN[one.state]} ${one.state}`,
      over ? "" : fixed(one.rates.in, 0), over ? "" : fixed(one.rates.out, 0),
      one.waiting === null ? "–" : `${one.waiting} of ${one.queue}`, one.lag_s === null || over ? "" : span(one.lag_s),
      over ? "" : fixed(one.rates.cpu * 100, 0), one.memory_bytes ? fixed(one.memory_bytes / 1e6, 0) : "", fixed(one.age_s), notes] });
    for (const [label, count, p50, p99, max] of one.latencies) {
      spans.push({ cells: [name, label, count.toLocaleString("en"), fixed(p50, 3), fixed(p99, 3), fixed(max, 2)] });
    }
  }
  rowsOf("processes", rows);
  rowsOf("latencies", spans);
}

function showLosses(daemon) {
  const rows = Object.entries(daemon.processes).flatMap(([name, one]) =>
    (one.drops || []).map(([reason, number, why]) => ({ kind: "bad", cells: [name, reason, number.toLocaleString("en"), why] })));
  byId("losses").hidden = !rows.length;
  byId("no-losses").hidden = rows.length > 0 || daemon.state === "absent";
  rowsOf("losses", rows);
  const diary = byId("diary");
  daemon.diary.forEach((line, k) => {
    const item = diary.children[k] || diary.appendChild(document.createElement("li"));
    const text = `${clock(line.at)} ${line.process}: ${line.text}`;
    if (item.textContent !== text) item.textContent = text;
    item.className = line.loud ? "loud" : "";
  });
}

function showVersions({ seen, daemon, view }) {
  const facts = new Map();
  for (const [name, one] of Object.entries(daemon.processes)) {
    for (const [what, number] of Object.entries(one.versions || {})) facts.set(what, number);
    if (one.configuration) facts.set("configuration", one.configuration);
    for (const [stage, about] of Object.entries(one.about || {})) {
      const text = Object.entries(about).map(([key, value]) => `${key} ${value}`).join("; ");
      if (text) facts.set(`${name}: ${stage}`, text);
    }
  }
  if (seen.maps) for (const [quadrant, number] of Object.entries(seen.maps)) facts.set(`maps of quadrant ${quadrant}`, number);
  if (facts.has("configuration") && facts.get("configuration") !== view.configuration) {
    facts.set("configuration of this view", `${view.configuration} (another: what it shows of thresholds is its own)`);
  }
  if (seen.missed !== undefined) facts.set("not seen here", `${seen.missed.toLocaleString("en")} of ${(seen.missed + seen.lists).toLocaleString("en")} read-outs, lost to this page only`);
  if (view.unreadable) facts.set("unreadable here", `${view.unreadable} messages`);
  const list = byId("versions"), wanted = [...facts].flat();
  while (list.children.length > wanted.length) list.lastChild.remove();
  wanted.forEach((text, k) => {
    const place = list.children[k] || list.appendChild(document.createElement(k % 2 ? "dd" : "dt"));
    if (place.textContent !== text) place.textContent = text;
  });
}

function showSeen(seen) {
  const rates = seen.rates, last = rates.age.length - 1;
  const { age, fraction } = rates;
  for (const kind of ["xrays", "rejected", "tracks"]) put(`tile-${kind}`, last < 0 ? "–" : fixed(rates[kind][last], 0));
  put("tile-fraction", last < 0 ? "–" : `${fixed(100 * fraction[last])} %`);
  put("tile-readouts", last < 0 ? "–" : `${fixed(rates.readouts[last], 0)} of ${fixed(1000 / seen.frame_time_ms, 0)}`);
  byId("tile-lag").classList.toggle("late", behind(seen) > 0);
  put("tile-lag", seen.lag_s === null ? "–" : span(Math.max(0, seen.lag_s - seen.age_s)));
  if (drawn) draw.plane(seen.plane, seen.quadrants);
  if (drawn && last >= 0 && performance.now() - charted > CHARTS_MS) { // they hold whole seconds
    charted = performance.now();
    draw.charts(seen);
  }
  const why = Object.entries(seen.reasons).filter(([, n]) => n).map(([name, n]) => `${name} ${n.toLocaleString("en")}`);
  const sum = Object.values(seen.patterns).reduce((a, b) => a + b, 0);
  put("reasons", `${sum.toLocaleString("en")} X-rays; rejected by ${why.join(", ") || "nothing yet"}`);
  const bad = newest.daemon.processes.detect?.counters?.bad_pixels;
  put("bad-pixels", bad === undefined ? "" : `${bad.toLocaleString("en")} bad pixels found since the start of detect`);
}

/** Say how old everything is; grey what is too old. */
function tick() {
  const at = performance.now(), late = at - ticked - TICK_MS;
  if (late > TICK_MS) answered += late; // this page itself stood still: no answer is not the view's silence
  ticked = at;
  const silent = at - answered, lost = silent > LOST_MS && !paused && !document.hidden;
  document.body.classList.toggle("lost", lost);
  if (lost) {
    byId("state").className = "badge lost";
    put("state", `${SIGN.lost} no answer for ${fixed(silent / 1e3, 0)} s`);
    document.title = "✕ raysieve no answer";
  }
  for (const card of document.querySelectorAll(".card")) {
    const known = ages.get(card.dataset.of), label = card.querySelector(".age");
    if (!known || known.age === null) { label.textContent = "nothing yet"; card.classList.remove("old"); continue; }
    const age = known.age + (at - known.at) / 1e3, ended = card.dataset.of === "seen" && newest && newest.seen.open === false;
    const old = age > known.limit || lost;
    card.classList.toggle("old", old && !ended && !(card.dataset.of === "daemon" && newest.daemon.state === "finished"));
    label.textContent = `${paused ? "paused, " : ""}${ended ? "ended, " : old ? "old: " : ""}${ago(age)}`;
  }
}

// Choosing

function fillBands(edges) {
  bands = edges;
  const label = (edge) => (edge === null ? "∞" : String(edge));
  byId("low").replaceChildren(...edges.slice(0, -1).map((edge, k) => new Option(label(edge), k)));
  byId("high").replaceChildren(...edges.slice(1).map((edge, k) => new Option(label(edge), k + 1)));
  choice.high = edges.length - 1;
  byId("high").value = choice.high;
}

function chooseBand(event) {
  choice.low = Number(byId("low").value);
  choice.high = Number(byId("high").value);
  if (choice.high <= choice.low) { // the other one gives way
    if (event.target.id === "low") choice.high = choice.low + 1; else choice.low = choice.high - 1;
    byId("low").value = choice.low; byId("high").value = choice.high;
  }
}

function pause() {
  paused = !paused;
  byId("pause").setAttribute("aria-pressed", paused);
  byId("pause").textContent = paused ? "go on" : "pause";
  if (!paused) answered = performance.now();
}

function theme() {
  localStorage.setItem("theme", document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  location.reload(); // the figures are drawn anew
}

function listen() {
  byId("kind").addEventListener("change", (event) => { choice.kind = event.target.value; });
  byId("log").addEventListener("change", (event) => { choice.log = event.target.checked; });
  byId("cams").addEventListener("change", (event) => { choice.cams = event.target.checked; frameShown = -1; });
  byId("low").addEventListener("change", chooseBand);
  byId("high").addEventListener("change", chooseBand);
  for (const name of ["window", "source"]) byId(name).addEventListener("change", (event) => { chosen[name] = event.target.value; showProducts(products, newest.kind); });
  byId("pause").addEventListener("click", pause);
  byId("dark").addEventListener("click", theme);
  byId("help").addEventListener("click", () => byId("keys").showModal());
  byId("unlock").addEventListener("submit", (event) => { event.preventDefault(); sessionStorage.setItem("token", byId("token").value); location.reload(); });
  document.addEventListener("visibilitychange", () => { if (!document.hidden) answered = performance.now(); });
  const keys = { l: "log", c: "cams", p: "pause", d: "dark", "?": "help" };
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || ["SELECT", "INPUT"].includes(event.target.tagName) && event.target.type !== "radio" && event.target.type !== "checkbox") return;
    const kind = { x: "xrays", r: "rejected", t: "tracks" }[event.key];
    if (kind) document.querySelector(`input[value=${kind}]`).click();
    else if (keys[event.key]) byId(keys[event.key]).click();
  });
}

/** Return the figures as the view has made them; it asks until there is an answer. */
async function figures() {
  for (let wait = 500; ; wait = 1000) {
    try {
      const answer = await ask(`/v1/figures?theme=${document.documentElement.dataset.theme}`, 60000); // made now, perhaps
      if (answer.ok) return await answer.json();
    } catch (fault) { if (!ofTheLine(fault)) throw fault; }
    await new Promise((done) => setTimeout(done, wait));
  }
}

/** Wait for Bokeh's script: the numbers do not wait for it. */
function bokeh() {
  if (window.Bokeh) return Promise.resolve();
  return new Promise((done, failed) => {
    byId("bokeh").addEventListener("load", done);
    byId("bokeh").addEventListener("error", () => { put("alarm", "the script that draws the figures is not there: pip install -e '.[view]'"); byId("alarm").hidden = false; failed(new Error("no Bokeh")); });
  });
}

async function begin() {
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  document.documentElement.dataset.theme = localStorage.getItem("theme") || (dark ? "dark" : "light");
  byId("dark").textContent = document.documentElement.dataset.theme === "dark" ? "light" : "dark";
  listen();
  setInterval(tick, TICK_MS);
  again(NOW_MS, askNow);
  const items = figures(), script = bokeh();
  while (!newest) await new Promise((done) => setTimeout(done, 20)); // which cards there are
  await script;
  draw.embed(await items);
  drawn = true;
  showProducts(products, newest.kind);
  again(IMAGE_MS, askImage);
  again(FRAME_MS, askFrame);
  again(1000, askProducts);
  document.body.dataset.ready = "yes";
}

begin();
