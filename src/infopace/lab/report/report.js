// Draws the charts that the page carries as JSON. Hovering or the arrow keys show values, and buttons hide curves.
// Text from the data goes into the page as text, never as markup.
"use strict";

const charts = JSON.parse(document.getElementById("data").textContent);
const tip = document.getElementById("tip");
const svgNamespace = document.querySelector("svg").namespaceURI; // the theme button has one
const dashes = ["", "9 4", "9 3 2 3", "4 3"];
const margin = { top: 10, right: 14, bottom: 38, left: 58 };
const shapes = {
  hold: "M-5 0A5 5 0 1 0 5 0A5 5 0 1 0-5 0Z", decay: "M-5.5-4L5.5-4L0 5.5Z", finished: "M-4.5-4.5H4.5V4.5H-4.5Z",
  best: "M0-8L2.1-2.9L7.6-2.5L3.4 1.1L4.7 6.5L0 3.6L-4.7 6.5L-3.4 1.1L-7.6-2.5L-2.1-2.9Z",
};
const otherShape = "M-2-6H2V-2H6V2H2V6H-2V2H-6V-2H-2Z";

function element(parent, name, attributes = {}, text = null) {
  const inSvg = parent.namespaceURI === svgNamespace || name === "svg";
  const made = inSvg ? document.createElementNS(svgNamespace, name) : document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  if (text !== null) made.textContent = text;
  parent.append(made);
  return made;
}

// One chart

class Plot {
  constructor(box, chart, section) {
    Object.assign(this, { box, chart, section, at: null });
    this.svg = box.querySelector("svg");
    chart.lines ??= [];
    chart.series ??= [];
    for (const one of chart.series) one.points ??= [];
    chart.range = chart.x_range ?? [chart.x[0], chart.x[chart.x.length - 1]];
    box.addEventListener("pointermove", (event) => this.pointed(event));
    box.addEventListener("pointerdown", (event) => this.pointed(event));
    box.addEventListener("pointerleave", (event) => { if (event.pointerType === "mouse") section.point(null); });
    box.addEventListener("blur", () => section.point(null));
    box.addEventListener("keydown", (event) => this.key(event));
    new ResizeObserver(() => this.draw()).observe(box);
  }

  colour(one) { return `var(--c${one.colour ?? 0})`; }
  drawn() { return this.chart.series.filter((one) => this.section.shows(one.key)); }

  draw() {
    const { chart, svg } = this, width = this.box.clientWidth, height = this.box.clientHeight;
    if (!width) return;
    const right = width - margin.right, bottom = height - margin.bottom, drawn = this.drawn();
    const span = spanOf(chart, drawn);
    const x = this.x = scale(chart.x_axis, chart.range, margin.left, right);
    const labels = chart.lines.filter((line) => line.axis === "x").length; // they are above the curves
    const y = this.y = scale(chart.y_axis, span, bottom, margin.top + 15 * Math.min(labels, 3));
    svg.replaceChildren();
    svg.setAttribute("viewBox", `0 0 ${width} ${height}`);
    for (const [at, label] of ticksOf(chart.y_axis, span, 6)) {
      element(svg, "path", { class: "grid", d: `M${margin.left} ${y(at).toFixed(1)}H${right}` });
      element(svg, "text", { x: margin.left - 8, y: y(at) + 4, "text-anchor": "end" }, label);
    }
    for (const [at, label] of ticksOf(chart.x_axis, chart.range, Math.max(3, Math.floor(width / 90)))) {
      element(svg, "path", { class: "axis", d: `M${x(at).toFixed(1)} ${bottom}v4` });
      element(svg, "text", { x: x(at), y: bottom + 17, "text-anchor": "middle" }, label);
    }
    element(svg, "path", { class: "axis", d: `M${margin.left} ${bottom}H${right}` });
    element(svg, "text", { x: right, y: height - 4, "text-anchor": "end" }, chart.x_axis.label);

    for (const line of chart.lines) {
      const upright = line.axis === "x", at = (upright ? x : y)(line.at).toFixed(1);
      element(svg, "path", { class: "line", d: upright ? `M${at} ${margin.top}V${bottom}` : `M${margin.left} ${at}H${right}` });
    }
    const clip = element(element(svg, "defs"), "clipPath", { id: `clip-${this.box.id}` });
    element(clip, "rect", { x: margin.left, y: 0, width: Math.max(0, right - margin.left), height: bottom });
    const inner = element(svg, "g", { "clip-path": `url(#clip-${this.box.id})` });
    for (const one of drawn) if (one.low) element(inner, "path", { class: "band", fill: this.colour(one), d: bandPath(one, chart, x, y) });
    const bold = drawn.filter((one) => !one.faint && !one.bound && !one.dotted);
    for (const one of drawn) { // where curves coincide the first is the widest, so that each stays in sight
      const kind = one.faint ? " faint" : one.bound || one.dotted ? " bound" : "";
      const style = { class: `curve${kind}`, "data-key": one.key, stroke: this.colour(one), d: linePath(one, chart, x, y) };
      if (!kind) style["stroke-width"] = 1.8 + Math.min(0.7 * (bold.length - 1 - bold.indexOf(one)), 3);
      if (!kind) style["stroke-dasharray"] = dashes[(one.dash ?? 0) % dashes.length];
      element(inner, "path", style);
    }
    this.drawLineLabels(x, y, right);
    const crowd = drawn.reduce((sum, one) => sum + (one.faint ? one.points.length : 0), 0) > 150;
    for (const one of drawn) {
      one.y.forEach((value, i) => {
        if (!chart.dots || typeof value !== "number") return;
        element(inner, "circle", { class: "candidate", r: 2.8, cx: x(chart.x[i]), cy: y(value), fill: this.colour(one) });
      });
      for (const point of one.faint && crowd ? [] : one.points) { // too many would hide the curves; hovering still shows them
        const place = `translate(${x(point.x).toFixed(1)} ${y(point.y).toFixed(1)})${one.faint ? " scale(.6)" : ""}`;
        const kind = one.faint ? "point faint-point" : "point";
        element(svg, "path", { class: kind, fill: this.colour(one), transform: place, d: shapes[point.shape] ?? otherShape });
      }
    }
    this.cursor = element(svg, "g", { "pointer-events": "none" });
    this.drawCursor();
  }

  drawLineLabels(x, y, right) {
    this.chart.lines.forEach((line, i) => {
      const upright = line.axis === "x", at = (upright ? x : y)(line.at), near = at > right - 90;
      const place = upright
        ? { x: at + (near ? -5 : 5), y: margin.top + 10 + 15 * (i % 3), "text-anchor": near ? "end" : "start" }
        : { x: right, y: at - 5, "text-anchor": "end" };
      element(this.svg, "text", { class: "halo", ...place }, line.label);
    });
  }

  // Reading values

  pointed(event) {
    const box = this.box.getBoundingClientRect(), px = event.clientX - box.left;
    if (!this.x || !this.chart.x.length) return;
    let best = 0;
    this.chart.x.forEach((value, i) => {
      if (Math.abs(this.x(value) - px) < Math.abs(this.x(this.chart.x[best]) - px)) best = i;
    });
    this.section.point(this.chart.x[best]);
    this.showTip(best, event.clientY - box.top);
  }

  key(event) {
    const last = this.chart.x.length - 1, now = this.chart.x.indexOf(this.at);
    const to = { ArrowRight: Math.min(now + 1, last), ArrowLeft: Math.max(now - 1, 0), Home: 0, End: last }[event.key];
    if (event.key === "Escape") this.section.point(null);
    if (to === undefined || last < 0) return;
    event.preventDefault();
    this.section.point(this.chart.x[to]);
    this.showTip(to, null);
  }

  drawCursor() {
    if (!this.cursor) return;
    this.cursor.replaceChildren();
    const i = this.chart.x.indexOf(this.at);
    if (i < 0) return;
    const px = this.x(this.at), bottom = this.box.clientHeight - margin.bottom;
    element(this.cursor, "path", { class: "cursor", d: `M${px.toFixed(1)} ${margin.top}V${bottom}` });
    for (const one of this.drawn()) {
      const value = one.y[i];
      if (one.faint || value === null || value === undefined || this.y(value) > bottom) continue;
      element(this.cursor, "circle", { class: "dot", r: 4, cx: px, cy: this.y(value), fill: this.colour(one) });
    }
  }

  // The tooltip: the value of every curve that is shown, and why the rate moved on the curve nearest to the pointer.
  showTip(i, py) {
    const { chart } = this, drawn = this.drawn();
    const read = drawn.filter((one) => !one.faint && typeof one.y[i] === "number");
    read.sort((a, b) => b.y[i] - a.y[i]);
    tip.replaceChildren();
    element(tip, "strong", {}, `${chart.x_axis.label} ${shown(chart.x[i], chart.x_axis)}`);
    for (const one of read) {
      const row = element(tip, "div", { class: "row" });
      element(row, "i").style.background = this.colour(one);
      element(row, "span", {}, one.label);
      element(row, "b", {}, shown(one.y[i], chart.y_axis) + this.spread(one, i, drawn));
    }
    if (!read.length) element(tip, "div", { class: "row" }, "no value here");
    const near = [];
    for (const one of drawn) {
      for (const point of one.points) {
        if (this.nearest(point.x) !== i) continue;
        near.push({ far: py === null ? 0 : Math.abs(this.y(point.y) - py), one, point });
      }
    }
    near.sort((a, b) => a.far - b.far);
    for (const { one, point } of near.slice(0, 2)) {
      const who = this.section.buttons.length > 1 || one.faint ? `${one.label}: ` : "";
      element(tip, "div", { class: "why" }, who + point.text);
    }
    if (near.length > 2) element(tip, "div", { class: "quiet" }, `and ${near.length - 2} more moves`);
    this.placeTip(i, py);
  }

  spread(one, i, drawn) {
    if (typeof one.low?.[i] === "number") {
      return ` (${shown(one.low[i], this.chart.y_axis)} to ${shown(one.high[i], this.chart.y_axis)})`;
    }
    const seeds = drawn.filter((o) => o.faint && o.key === one.key && !one.bound).map((o) => o.y[i]).filter((v) => typeof v === "number");
    if (seeds.length < 2) return "";
    return ` (${shown(Math.min(...seeds), this.chart.y_axis)} to ${shown(Math.max(...seeds), this.chart.y_axis)})`;
  }

  nearest(value) {
    let best = 0;
    this.chart.x.forEach((x, i) => { if (Math.abs(x - value) < Math.abs(this.chart.x[best] - value)) best = i; });
    return best;
  }

  placeTip(i, py) {
    tip.hidden = false;
    tip.style.left = tip.style.top = "0";
    const box = this.box.getBoundingClientRect(), page = document.documentElement.clientWidth;
    const px = box.left + this.x(this.chart.x[i]), size = tip.getBoundingClientRect();
    let left = px + 14;
    if (left + size.width > page - 6) left = px - 14 - size.width;
    if (left < 6) left = Math.max(6, (page - size.width) / 2);
    const top = left > px || left + size.width < px ? box.top + (py ?? 30) - 20 : box.bottom - 20;
    tip.style.left = `${left + window.scrollX}px`;
    tip.style.top = `${top + window.scrollY}px`;
  }
}

// A section: charts that share a legend and a cursor

class Section {
  constructor(root) {
    this.hidden = new Set();
    this.buttons = [...root.querySelectorAll(".legend button")];
    for (const button of this.buttons) {
      button.addEventListener("click", () => this.toggle(button.dataset.key));
    }
    this.plots = [...root.querySelectorAll(".plot")].map((box) => new Plot(box, charts[box.dataset.chart], this));
  }

  shows(key) { return !this.hidden.has(key) && !this.hidden.has(key.split(".")[0]); }

  toggle(key) {
    if (!this.hidden.delete(key)) this.hidden.add(key);
    for (const button of this.buttons) {
      const own = button.dataset.key;
      button.setAttribute("aria-pressed", String(!this.hidden.has(own)));
      button.classList.toggle("muted", !this.shows(own));
    }
    this.point(null);
    for (const plot of this.plots) plot.draw();
  }

  point(at) {
    if (at === null) tip.hidden = true;
    for (const plot of this.plots) { plot.at = at; plot.drawCursor(); }
  }
}

// The table of values is made when it is opened.

function fillTable(details) {
  const chart = charts[details.dataset.chart], table = details.querySelector("table");
  if (table.rows.length) return;
  const series = chart.series.filter((one) => !one.faint), head = element(element(table, "thead"), "tr");
  for (const label of [chart.x_axis.label, ...series.map((one) => one.label)]) element(head, "th", { scope: "col" }, label);
  const body = element(table, "tbody");
  chart.x.forEach((at, i) => {
    const row = element(body, "tr");
    element(row, "th", { scope: "row" }, shown(at, chart.x_axis));
    for (const one of series) element(row, "td", {}, typeof one.y[i] === "number" ? shown(one.y[i], chart.y_axis) : "");
  });
}

for (const root of document.querySelectorAll("section[data-charts]")) new Section(root);
for (const details of document.querySelectorAll("details[data-chart]")) details.addEventListener("toggle", () => fillTable(details));

const theme = document.getElementById("theme"), dark = matchMedia("(prefers-color-scheme: dark)");
function isDark() { return (document.documentElement.dataset.theme ?? (dark.matches ? "dark" : "light")) === "dark"; }
function nameTheme() { theme.querySelector("span").textContent = isDark() ? "Light" : "Dark"; }
theme.addEventListener("click", () => { document.documentElement.dataset.theme = isDark() ? "light" : "dark"; nameTheme(); });
dark.addEventListener("change", nameTheme);
nameTheme();
