// Text of the page, and only ever as text.

export const byId = (id) => document.getElementById(id);

/** Set the text of a part. */
export function put(id, text) {
  const place = byId(id);
  if (place.textContent !== text) place.textContent = text;
}

/** Set the rows of a table: each {cells: [text or element], kind: class}; elements are kept where they are. */
export function rowsOf(id, rows) {
  const table = byId(id), body = table.tBodies[0];
  const numeric = [...table.tHead.rows[0].cells].map((cell) => cell.className);
  while (body.rows.length > rows.length) body.deleteRow(-1);
  rows.forEach(({ cells, kind = "" }, k) => {
    const row = body.rows[k] || body.insertRow();
    if (row.className !== kind) row.className = kind;
    cells.forEach((cell, n) => {
      const place = row.cells[n] || row.insertCell();
      if (numeric[n] && !place.className) place.className = numeric[n];
      if (cell instanceof Node) place.replaceChildren(cell);
      else if (place.textContent !== String(cell)) place.textContent = String(cell);
    });
  });
}

export function fixed(value, digits = 1) {
  return value === null || value === undefined ? "–" : Number(value).toFixed(digits);
}

export function ago(seconds) {
  if (seconds < 120) return `${fixed(seconds, seconds < 10 ? 1 : 0)} s`;
  return seconds < 7200 ? `${fixed(seconds / 60, 0)} min` : seconds < 172800 ? `${fixed(seconds / 3600, 1)} h` : `${fixed(seconds / 86400, 0)} days`;
}

export function span(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  return seconds < 1 ? `${fixed(seconds * 1e3)} ms` : ago(seconds);
}

export function clock(seconds) {
  return new Date(seconds * 1000).toLocaleTimeString("en-GB");
}
