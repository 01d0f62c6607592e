// What the daemon has found: sources, coronae, calibrations, the gamma-ray sky, alerts.
import * as draw from "./draw.js";
import { byId, clock, fixed, put, rowsOf } from "./text.js";

export const chosen = { window: "", source: "" };

/** Show all products, by name; kind: of the daemon. */
export function showProducts(products, kind) {
  const shown = { sources: showSources, coronae: showCoronae, calibration: showCalibration };
  for (const [name, show] of Object.entries(shown)) {
    const found = products.get(name);
    byId(`card-${name}`).hidden = !found;
    if (found) show(found);
  }
  byId("card-fit").hidden = !Object.keys(products.get("sources")?.curves || {}).length;
  if (kind === "sky") showSky(products);
}

/** Let a list offer these, [value, text] each; return the one that is chosen, of those that there are. */
function offer(id, options, value) {
  const list = byId(id), wanted = options.map((one) => one.join("\n")).join("\n");
  if (list.dataset.of !== wanted) {
    list.dataset.of = wanted;
    list.replaceChildren(...options.map(([key, text]) => new Option(text, key)));
  }
  const there = options.some(([key]) => key === value) ? value : options[0]?.[0] || "";
  list.value = there;
  return there;
}

function showSources(found) {
  const classes = found.classes || [], colour = (k) => draw.CLASS_COLOURS[k % draw.CLASS_COLOURS.length];
  put("sources-told", found.error || `${found.number} sources in ${fixed(found.exposure_s, 0)} s${found.model ? `, classes by ${found.model}` : ""}; ${found.file}`);
  byId("classes").replaceChildren(...classes.map((name, k) => {
    const entry = document.createElement("span"), patch = document.createElement("i");
    patch.style.background = colour(k);
    entry.append(patch, name);
    return entry;
  }));
  const best = (row) => (row.P ? row.P.indexOf(Math.max(...row.P)) : -1);
  const fitted = (found.rows || []).filter((row) => String(row.ID) in (found.curves || {}));
  chosen.source = offer("source", fitted.map((row) => [String(row.ID), String(row.ID)]), chosen.source);
  showFit(found);
  rowsOf("sources", (found.rows || []).map((row) => {
    const bar = document.createElement("div");
    bar.className = "bar";
    bar.title = (row.P || []).map((p, k) => `${classes[k]} ${fixed(p, 2)}`).join(", ");
    for (const [k, p] of (row.P || []).entries()) {
      const part = document.createElement("span");
      part.style.cssText = `width:${100 * (p || 0)}%;background:${colour(k)}`;
      bar.append(part);
    }
    const name = best(row) < 0 ? "–" : `${classes[best(row)]} ${fixed(row.P[best(row)], 2)}`;
    return { kind: String(row.ID) === chosen.source ? "chosen" : "", cells: [row.ID, fixed(row.X), fixed(row.Y), `${fixed(row.NET_COUNTS, 0)} ± ${fixed(row.NET_ERROR, 0)}`, fixed(row.SIGNIFICANCE),
      fixed(row.LOG_FLUX, 2), fixed(row.PHOTON_INDEX, 2), fixed(row.LOG_NH, 2), name, bar] };
  }));
  draw.give("found", { x: (found.rows || []).map((row) => row.X), y: (found.rows || []).map((row) => row.Y),
    label: (found.rows || []).map((row) => `${row.ID}: ${best(row) < 0 ? "" : classes[best(row)]}`),
    colour: (found.rows || []).map((row) => (best(row) < 0 ? "#E69F00" : colour(best(row)))) });
}

/** Show the spectrum and the fit of the source that is chosen. */
function showFit({ rows = [], curves = {} }) {
  const row = rows.find((one) => String(one.ID) === chosen.source), curve = curves[chosen.source];
  put("fit-told", row && curve ? `index ${fixed(row.PHOTON_INDEX, 2)}, log nH ${fixed(row.LOG_NH, 2)}, log flux ${fixed(row.LOG_FLUX, 2)}` : "");
  if (curve) draw.fit(curve);
}

function showCoronae(found) {
  const rows = found.rows || [];
  put("coronae-told", found.error || `${found.number} spectra; ${found.file}`);
  rowsOf("coronae", rows.map((row) => ({ kind: row.FLAG ? "stale" : "", cells: [row.NAME, fixed(row.LOG_T, 2), fixed(row.LOG_T_SD, 2), fixed(row.LOG_N, 2),
    fixed(row.LOG_N_SD, 2), fixed(row.LOG_NORM, 2), fixed(row.P_ONE, 2), fixed(row.P_TWO, 2), fixed(row.P_CONTINUOUS, 2), row.FLAG] })));
  draw.coronae(rows);
}

function showCalibration(found) {
  const sets = found.sets || [], drift = found.drift || { p: [] };
  const last = drift.p.at(-1), moved = last !== undefined && last < found.alarm_p;
  put("calibration-told", found.error || `${found.model}; ${found.number} looks; ${found.file}`);
  put("drifted", moved ? `✕ drifted: P of no change ${Number(last).toExponential(1)}` : "");
  rowsOf("calibration", sets.map((row) => ({ kind: row.words ? "stale" : "", cells: [row.SET, row.FITS, row.SKIPPED, `${fixed(row.CHI2)} / ${row.DOF}`, row.P === null ? "–" : Number(row.P).toPrecision(2),
    row.KT.map((kt, k) => `${kt} keV: ${fixed(100 * row.DT[k])} ± ${fixed(100 * row.DT_ERR[k])}`).join("; "), row.words] })));
  draw.calibration(sets, drift.p, found.alarm_p || 1e-3);
}

function showSky(products) {
  const known = ["mission", "month", "week", "day", "six_hours"].filter((name) => products.has(name) || products.has(`map of ${name}`));
  chosen.window = offer("window", known.map((name) => [name, name.replace("_", " ")]), chosen.window);
  const map = products.get(`map of ${chosen.window}`), catalogue = products.get(chosen.window), alerts = products.get("alerts");
  const parts = [map && (map.error || `${map.photons.toLocaleString("en")} photons`), catalogue && (catalogue.error || `${catalogue.number} detections`)];
  put("sky-told", parts.filter(Boolean).join(", "));
  rowsOf("detections", ((catalogue && catalogue.rows) || []).map((row) => ({ cells: [row.Source_Name, fixed(row.GLON, 2), fixed(row.GLAT, 2),
    fixed(row.Conf_95_SemiMajor, 3), fixed(row.Signif_Avg), (row.Flux1000 || 0).toExponential(2), fixed(row.PL_Index, 2), fixed(row.P_Source, 2),
    row.ASSOC1 || "", row.CLASS1 || ""] })));
  const rows = (alerts && alerts.rows) || [];
  byId("alerts").hidden = !rows.length;
  byId("no-alerts").hidden = rows.length > 0;
  rowsOf("alerts", rows.map((row) => ({ cells: [clock(row.written), row.event_name, fixed(row.l), fixed(row.b), fixed(row.ra_dec_error, 2),
    Number(row.flux).toExponential(1), fixed(row.TS, 0)] })));
  draw.sky(map, catalogue, alerts);
}
