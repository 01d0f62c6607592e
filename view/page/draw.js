// The figures: BokehJS draws them, this gives them numbers.

const models = new Map(), given = new Map(), settings = new Map(), ranges = new Map(), seen = new Set(); // seen: figures in the window
export const CLASS_COLOURS = ["#E69F00", "#56B4E9", "#009E73", "#F0E442", "#0072B2", "#D55E00", "#CC79A7", "#999999"];
const GOOD = "#0072B2", BAD = "#D55E00"; // where it matters they differ in form as well
const QUADRANTS = [["#0072B2", "solid"], ["#D55E00", "dashed"], ["#009E73", "dotted"], ["#CC79A7", "dashdot"]];

/** Put each figure into the page when it comes into the window; `items` as the server has made them, by name. */
export function embed(items) {
  Bokeh.set_log_level("warn");
  const embedded = new Set();
  const look = new IntersectionObserver(async (entries) => {
    for (const { target, isIntersecting } of entries) {
      const name = target.id.replace("figure-", "");
      if (!isIntersecting) { seen.delete(name); continue; }
      seen.add(name);
      if (!embedded.has(name)) {
        embedded.add(name);
        const before = Bokeh.documents.length;
        await Bokeh.embed.embed_item(items[name], target.id);
        for (const one of Bokeh.documents.slice(before)) one.figure = name;
        await new Promise((done) => setTimeout(done)); // what is there is shown before the next is made
      }
      for (const source of given.keys()) show(source);
      for (const [one, values] of settings) set(one, values);
      for (const [one, ends] of ranges) range(one, ...ends);
    }
  });
  for (const name of Object.keys(items)) {
    const place = document.getElementById(`figure-${name}`);
    if (place) look.observe(place);
  }
}

/** Return a model of the figures by its name; undefined while its figure has not been in the window. */
function model(name) {
  if (!models.has(name)) {
    for (const one of Bokeh.documents) {
      const found = one.get_model_by_name(name);
      if (found) models.set(name, found);
    }
  }
  return models.get(name);
}

/** Give columns to a source; they are drawn when its figure is in the window. */
export function give(name, columns) {
  given.set(name, columns);
  show(name);
}

function show(name) {
  const source = model(name);
  if (source && seen.has(source.document.figure) && source.data !== given.get(name)) source.data = given.get(name);
}

/** Set properties of a model, now or when it is there. */
function set(name, values) {
  settings.set(name, values);
  const one = model(name);
  if (one) for (const [key, value] of Object.entries(values)) if (one[key] !== value) one[key] = value;
}

/** Return columns with a row of nothing if they have none: a legend draws the first. */
function filled(columns) {
  return Object.fromEntries(Object.entries(columns).map(([name, column]) => [name, column.length ? column : [NaN]]));
}

/** Return a flat array, row by row, as an image of Bokeh's. */
function rows(flat, height, width) {
  return Bokeh.require("core/util/ndarray").ndarray(flat, { dtype: "float32", shape: [height, width] });
}

/** Set a range that nobody has moved, now or when it is there; `reset` returns to it. */
function range(name, low, high) {
  ranges.set(name, [low, high]);
  const one = model(name);
  if (!one || (one.reset_start === low && one.reset_end === high)) return;
  const moved = one.start !== one.reset_start || one.end !== one.reset_end;
  one.reset_start = low;
  one.reset_end = high;
  if (!moved) [one.start, one.end] = [low, high];
}

/** Return a round number at or above a value. */
function round(value) {
  const step = 10 ** Math.floor(Math.log10(Math.max(value, 1e-9)));
  return [1, 1.5, 2, 3, 4, 5, 6, 8, 10].map((n) => n * step).find((n) => n >= value);
}

/** Let images show a plane, and where its quadrants are: left, bottom, width, height of each. */
export function plane([left, bottom, width, height], quadrants) {
  const told = JSON.stringify(quadrants);
  if (told !== placed) {
    placed = told;
    give("quadrants", { x: quadrants.map((q) => q[0] + q[2] / 2), y: quadrants.map((q) => q[1] + q[3] / 2),
      width: quadrants.map((q) => q[2]), height: quadrants.map((q) => q[3]) });
  }
  for (const name of ["image", "frame"]) {
    range(`${name}-x`, left, left + width);
    range(`${name}-y`, bottom, bottom + height);
  }
}

/** Show rates, spectrum, patterns and monitors. */
export function charts(seen) {
  const { age, xrays, rejected, tracks, fraction } = seen.rates;
  give("rates", { age, xrays, rejected, tracks });
  range("rates-y", 0, round(Math.max(1, ...xrays, ...rejected, ...tracks)));
  give("fraction", { age, fraction });
  byQuadrant("common_mode", age, seen.rates.common_mode);
  byQuadrant("hits", age, seen.rates.hits);
  const { kept, before, rejected: all } = seen.spectra, width = 15 / kept.length;
  const above = (counts) => counts.map((n) => Math.max(n, 0.1)); // on a logarithmic axis a 0 would cut the line
  give("spectrum", { kev: kept.map((_, k) => (k + 0.5) * width), kept: above(kept), before: above(before), rejected: above(all) });
  range("spectrum-y", 0.5, 2 * round(Math.max(5, ...before, ...all)));
  const numbers = Object.values(seen.patterns), sum = numbers.reduce((a, b) => a + b, 0);
  give("patterns", { pattern: Object.keys(seen.patterns), percent: numbers.map((n) => (sum ? (100 * n) / sum : 0)) });
}

/** Show counts; `place`: left, bottom, width, height. */
export function counts(flat, [height, width], place, log) {
  let top = 0, total = 0;
  for (const value of flat) { total += value; if (value > top) top = value; }
  for (const scale of ["linear", "log"]) {
    for (const part of ["image", "bar"]) {
      set(`${part}-${scale}`, { visible: log === (scale === "log") });
    }
    set(`mapper-${scale}`, { high: Math.max(top, 2) });
  }
  give("image", { image: [rows(Float32Array.from(flat), height, width)], x: [place[0]], y: [place[1]], dw: [place[2]], dh: [place[3]] });
  return total;
}

let placed = ""; // the quadrants that are drawn
let shown = null, joined = 0; // the frame, and how many of its pixels make one of the screen along a side

/** Show a frame: pixels, tracks, events, and the maps of a network if there are any. */
export function frame(found) {
  shown = found;
  joined = 0;
  zoomed();
  give("tracks", filled(found.tracks));
  for (const kind of ["kept", "screened", "cut"]) {
    const chosen = found.events.kind.flatMap((value, k) => (value === kind ? [k] : []));
    const of = (name) => chosen.map((k) => found.events[name][k]);
    give(`events-${kind}`, filled({ x: of("x"), y: of("y"), kev: of("ev").map((ev) => ev / 1000), pattern: of("pattern"),
      p: of("p").map((p) => (p === null ? "not judged" : p.toFixed(3))), why: of("why") }));
  }
  maps(found);
}

/** Draw the pixels anew if the zoom asks for it: of those that share one of the screen the brightest is seen. */
export function zoomed() {
  const across = model("frame-x");
  if (!shown || !across || !seen.has("frame")) return;
  const room = document.getElementById("figure-frame").clientWidth * 0.45;
  const factor = Math.max(1, Math.ceil(Math.abs(across.end - across.start) / room));
  if (factor === joined) return;
  joined = factor;
  const columns = { image: [], x: [], y: [], dw: [], dh: [] };
  let top = 0;
  for (const one of shown.quadrants) {
    const width = Math.ceil(one.columns / factor), height = Math.ceil(one.rows / factor), flat = new Float32Array(width * height);
    one.at.forEach((at, k) => {
      const place = Math.floor(Math.floor(at / one.columns) / factor) * width + Math.floor((at % one.columns) / factor);
      flat[place] = Math.max(flat[place], one.ev[k]);
      top = Math.max(top, one.ev[k]);
    });
    add(columns, rows(flat, height, width), one.x, one.y, width * factor, height * factor);
  }
  set("mapper-frame", { low: shown.floor_ev, high: Math.max(top, 10 * shown.floor_ev) });
  give("frame", columns);
}

function maps(found) {
  const columns = { image: [], x: [], y: [], dw: [], dh: [], p: [] };
  const outline = { cx: [], cy: [], dw: [], dh: [], p: [] };
  const corner = new Map(found.quadrants.map((q) => [q.id, q]));
  let top = 0;
  for (const one of found.cams || []) {
    const q = corner.get(one.quadrant), x = q.x + one.left, y = q.y + one.bottom;
    const p = ["empty", "X-ray", "particle", "mixed"].map((name, k) => `${name} ${one.p[k].toFixed(2)}`).join(", ");
    add(columns, rows(Float32Array.from(one.map.flat()), one.map.length, one.map[0].length), x, y, 64, 64);
    columns.p.push(p);
    outline.cx.push(x + 32); outline.cy.push(y + 32); outline.dw.push(64); outline.dh.push(64); outline.p.push(p);
    top = Math.max(top, ...one.map.flat());
  }
  set("mapper-cams", { low: Math.max(0.15 * top, 1e-4), high: Math.max(top, 1e-3) });
  give("cams", columns);
  give("windows", filled(outline));
}

function add(columns, image, x, y, dw, dh) {
  columns.image.push(image); columns.x.push(x); columns.y.push(y); columns.dw.push(dw); columns.dh.push(dh);
}

/** Show a line for each quadrant. */
function byQuadrant(name, age, columns) {
  const keys = Object.keys(columns), look = keys.map((_, k) => QUADRANTS[k % QUADRANTS.length]);
  give(name, { xs: keys.map(() => age), ys: keys.map((key) => columns[key].map((v) => (v === null ? NaN : v))),
    colour: look.map((l) => l[0]), dash: look.map((l) => l[1]), label: keys.map((key) => `quadrant ${key}`) });
  const values = keys.flatMap((key) => columns[key]).filter((value) => value !== null);
  const low = Math.min(...values), high = Math.max(...values), edge = Math.max(0.1, 0.1 * (high - low));
  if (values.length) range(`${name}-y`, Math.floor(10 * (low - edge)) / 10, Math.ceil(10 * (high + edge)) / 10);
}

/** Show the spectrum of a source and its fit: columns x, width, y, error, model. */
export function fit({ x, width, y, error, model }) {
  const low = Math.max(0.3 * Math.min(...model, ...y.filter((value) => value > 0)), 1e-3), top = 2 * Math.max(...model, ...y);
  const ends = (sign) => y.map((value, k) => Math.max(value + sign * error[k], low / 10)); // on a logarithmic axis
  give("fit", { x, y: ends(0), low: ends(-1), high: ends(1), left: x.map((at, k) => at - width[k] / 2), right: x.map((at, k) => at + width[k] / 2), model });
  range("fit-y", low, top);
}

/** Show temperatures and densities of stars; those that are flagged are crosses. */
export function coronae(rows) {
  const of = (name) => rows.map((row) => row[name] ?? NaN), ends = (name, sign) => rows.map((row) => row[name] + sign * row[`${name}_SD`]);
  const columns = { x: of("LOG_T"), y: of("LOG_N"), x0: ends("LOG_T", -1), x1: ends("LOG_T", 1), y0: ends("LOG_N", -1), y1: ends("LOG_N", 1) };
  give("coronae", { ...columns, label: of("NAME"), colour: rows.map((row) => (row.FLAG ? BAD : GOOD)), marker: rows.map((row) => (row.FLAG ? "x" : "circle")) });
  for (const axis of ["x", "y"]) {
    const all = [...columns[axis], ...columns[`${axis}0`], ...columns[`${axis}1`]].filter(Number.isFinite);
    if (all.length) range(`coronae-${axis}`, Math.min(...all) - 0.1, Math.max(...all) + 0.1);
  }
}

/** Show dT/T of each set of fits by temperature, and the chance of no change by look. */
export function calibration(sets, p, alarm) {
  let top = 1;
  for (const { SET, KT, DT, DT_ERR } of sets) {
    const place = KT.map((kt) => kt * { whole: 1, reference: 0.97, window: 1.03 }[SET]); // beside each other
    const ends = (sign) => DT.map((dt, k) => (dt === null ? NaN : 100 * (dt + sign * DT_ERR[k])));
    give(`areas-${SET}`, { x: place, y: ends(0), low: ends(-1), high: ends(1) });
    top = Math.max(top, ...[...ends(-1), ...ends(1)].filter(Number.isFinite).map(Math.abs));
  }
  range("areas-y", -round(top), round(top));
  const kt = sets.flatMap((one) => one.KT);
  if (kt.length) range("areas-x", 0.8 * Math.min(...kt), 1.25 * Math.max(...kt));
  give("drift", { look: p.map((_, k) => k + 1), p: p.map((value) => Math.max(value ?? NaN, 1e-9)), colour: p.map((value) => (value < alarm ? BAD : GOOD)) });
  range("drift-x", 0, p.length + 1);
  set("alarm", { location: alarm });
}

/** Show the gamma-ray sky of a window. */
export function sky(map, catalogue, alerts) {
  if (map && map.image) {
    const flat = Float32Array.from(map.image);
    set("mapper-sky", { high: Math.max(2, flat.reduce((a, b) => Math.max(a, b), 0)) });
    give("sky", { image: [rows(flat, ...map.shape)], x: [-180], y: [-90], dw: [360], dh: [180] });
  }
  const wrap = (l) => (l > 180 ? l - 360 : l);
  for (const [name, wanted] of [["known", true], ["new", false]]) {
    const columns = { x: [], y: [], label: [] };
    if (catalogue && catalogue.places) catalogue.places.l.forEach((l, k) => {
      if ((catalogue.known.length ? catalogue.known[k] : true) !== wanted) return;
      columns.x.push(wrap(l)); columns.y.push(catalogue.places.b[k]);
      columns.label.push(`${catalogue.places.name[k]}, ${catalogue.places.significance[k]} sigma`);
    });
    give(`sky-${name}`, filled(columns));
  }
  const mine = ((alerts && alerts.rows) || []).filter((row) => "l" in row);
  give("sky-alerts", filled({ x: mine.map((row) => wrap(row.l)), y: mine.map((row) => row.b), label: mine.map((row) => `${row.event_name}, TS ${row.TS}`) }));
}
