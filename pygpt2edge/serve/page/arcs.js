// Attention as arcs over the text: one for each pair of a token and a token at or before it.

const SVG = "http://www.w3.org/2000/svg";
const FAINT = 0.05; // other tokens' arcs below it are left out

// Draws them above the elements of a list box. `rows[i][j]` is the weight of j for i.
export function drawArcs(svg, box, rows, chosen, first) {
  const middles = [...box.children].map((each) => each.offsetLeft + each.offsetWidth / 2);
  const height = heightOf(middles);
  svg.setAttribute("width", box.scrollWidth);
  svg.setAttribute("height", height);
  const arcs = [];
  rows.forEach((row, i) => {
    row.forEach((weight, j) => {
      if (j < first || (i !== chosen && weight < FAINT)) return;
      arcs.push(arc(middles, i, j, weight, height, i === chosen));
    });
  });
  arcs.sort((a, b) => a.classList.contains("chosen") - b.classList.contains("chosen"));
  svg.replaceChildren(...arcs);
}

function heightOf(middles) {
  const width = middles.length > 0 ? middles.at(-1) - middles[0] : 0;
  return Math.round(Math.max(48, Math.min(220, 24 + width / 3)));
}

function arc(middles, i, j, weight, height, isChosen) {
  const path = document.createElementNS(SVG, "path");
  path.setAttribute("d", i === j ? loop(middles[i], height) : curve(middles[i], middles[j], height));
  path.setAttribute("stroke-width", (isChosen ? 1 + 6 * weight : 0.5 + 2 * weight).toFixed(2));
  path.setAttribute("stroke-opacity", (isChosen ? 0.15 + 0.85 * weight : 0.3 * weight).toFixed(3));
  path.classList.toggle("chosen", isChosen);
  path.dataset.from = i;
  path.dataset.to = j;
  path.dataset.weight = weight;
  return path;
}

function curve(from, to, height) {
  const top = height - Math.min(height - 6, 18 + Math.abs(from - to) / 2.2);
  return `M${from} ${height} C${from} ${top} ${to} ${top} ${to} ${height}`;
}

function loop(x, height) {
  return `M${x - 5} ${height} C${x - 12} ${height - 22} ${x + 12} ${height - 22} ${x + 5} ${height}`;
}
