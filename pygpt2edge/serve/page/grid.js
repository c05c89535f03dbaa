// Attention as a grid: a row for each token, a column for each token that it attends to.

const LEAST_CELL = 2;
const GREATEST_CELL = 28;
const LABEL_WIDTH = 96; // at most
const LABELLED = 12; // cells of so many pixels have room for labels

// Draws it, and remembers where cells are. `names` are those of the tokens.
export function drawGrid(canvas, rows, names, chosen, first) {
  const width = canvas.parentElement.clientWidth;
  const cell = cellSize(width, rows.length);
  const label = cell >= LABELLED ? labelWidth(names) : 0;
  const size = { width: label + cell * rows.length, height: label + cell * rows.length };
  const context = prepare(canvas, size);
  const colours = coloursOf(canvas);
  rows.forEach((row, i) => {
    row.forEach((weight, j) => {
      if (j >= first) fillCell(context, colours, label + j * cell, label + i * cell, cell, weight);
    });
  });
  if (label > 0) drawLabels(context, colours, names, cell, label);
  outlineRow(context, colours, label, label + chosen * cell, (chosen + 1) * cell, cell);
  return (event) => cellAt(canvas, event, cell, label, rows.length);
}

// Letters of the labels are about 8 pixels wide.
function labelWidth(names) {
  return Math.min(LABEL_WIDTH, 16 + 8 * Math.max(...names.map((name) => name.trim().length)));
}

function cellSize(width, n) {
  const labelled = Math.floor((width - LABEL_WIDTH) / n);
  const size = labelled >= LABELLED ? labelled : Math.floor(width / n);
  return Math.max(LEAST_CELL, Math.min(GREATEST_CELL, size));
}

function prepare(canvas, { width, height }) {
  const density = devicePixelRatio || 1;
  canvas.width = width * density;
  canvas.height = height * density;
  canvas.style.width = `${width}px`;
  canvas.style.aspectRatio = `${width} / ${height}`;
  const context = canvas.getContext("2d");
  context.scale(density, density);
  context.clearRect(0, 0, width, height);
  return context;
}

function coloursOf(canvas) {
  const style = getComputedStyle(canvas);
  const named = (name) => style.getPropertyValue(name).trim();
  return { full: named("--accent"), empty: named("--raised"), ink: named("--ink"), font: style.fontFamily };
}

function fillCell(context, colours, x, y, cell, weight) {
  const side = cell > 4 ? cell - 1 : cell;
  context.globalAlpha = 1;
  context.fillStyle = colours.empty;
  context.fillRect(x, y, side, side);
  context.globalAlpha = Math.sqrt(weight);
  context.fillStyle = colours.full;
  context.fillRect(x, y, side, side);
  context.globalAlpha = 1;
}

function drawLabels(context, colours, names, cell, label) {
  context.fillStyle = colours.ink;
  context.font = `${Math.min(13, cell)}px ${colours.font}`;
  context.textBaseline = "middle";
  names.forEach((name, i) => {
    const text = name.trim().slice(0, 14) || "·";
    context.textAlign = "right";
    context.fillText(text, label - 6, label + (i + 0.5) * cell, label - 8);
    context.save();
    context.translate(label + (i + 0.5) * cell, label - 6);
    context.rotate(-Math.PI / 2);
    context.textAlign = "left";
    context.fillText(text, 0, 0, label - 8);
    context.restore();
  });
}

function outlineRow(context, colours, x, y, width, height) {
  context.strokeStyle = colours.ink;
  context.strokeRect(x - 0.5, y - 0.5, width, height);
}

// The cell that a pointer is on, as [row, column]; null beside them.
function cellAt(canvas, event, cell, label, n) {
  const box = canvas.getBoundingClientRect();
  const scale = (label + n * cell) / box.width; // the canvas may be shrunk to fit
  const column = Math.floor(((event.clientX - box.left) * scale - label) / cell);
  const row = Math.floor(((event.clientY - box.top) * scale - label) / cell);
  return row >= 0 && row < n && column >= 0 && column <= row ? [row, column] : null;
}
