// Numbers, axes and paths: from values to coordinates. Nothing here touches the page.
"use strict";

// Numbers and axes

function shown(value, axis) {
  if (!axis.log) return value.toFixed(axis.digits ?? 3);
  return String(Number(value.toPrecision(3)));
}

function scale(axis, [low, high], from, to) {
  const bend = axis.log ? Math.log10 : (v) => v;
  const slope = (to - from) / (bend(high) - bend(low));
  return (value) => from + (bend(value) - bend(low)) * slope;
}

function linearTicks(low, high, most) {
  const raw = (high - low) / most;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw * 0.999);
  const ticks = [];
  for (let i = Math.ceil(low / step - 1e-9); i * step <= high + step * 1e-9; i++) ticks.push(Number((i * step).toPrecision(12)));
  return ticks;
}

function logTicks(low, high, most) {
  for (const marks of [[1, 2, 3, 5], [1, 2, 5], [1, 3], [1]]) {
    const ticks = [];
    for (let e = Math.floor(Math.log10(low)); e <= Math.ceil(Math.log10(high)); e++) {
      for (const m of marks) ticks.push(Number((m * 10 ** e).toPrecision(3)));
    }
    const inside = ticks.filter((t) => t >= low * 0.999 && t <= high * 1.001);
    if (inside.length <= most || marks.length === 1) {
      const stride = Math.ceil(inside.length / most);
      return inside.length > 1 ? inside.filter((_, i) => i % stride === 0) : linearTicks(low, high, most);
    }
  }
}

function ticksOf(axis, [low, high], most) {
  const ticks = axis.log ? logTicks(low, high, most) : linearTicks(low, high, most);
  const whole = axis.digits === 0 ? ticks.filter(Number.isInteger) : ticks;
  const longest = Math.max(0, ...whole.map((t) => (String(t).split(".")[1] ?? "").length));
  return whole.map((at) => [at, axis.log ? shown(at, axis) : at.toFixed(longest)]);
}

// The y axis spans the curves that are shown. Values before `settled` and decoder bounds may lie outside.
function spanOf(chart, drawn) {
  const values = [];
  for (const one of drawn) {
    if (one.bound) continue;
    for (const list of [one.y, one.low ?? [], one.high ?? []]) {
      const late = list.filter((v, i) => v !== null && chart.x[i] >= (chart.settled ?? -Infinity));
      values.push(...(late.length ? late : list.filter((v) => v !== null)));
    }
  }
  for (const line of chart.lines) if (line.axis !== "x" && values.length) values.push(line.at);
  if (!values.length) return chart.y_axis.log ? [0.001, 1] : [0, 1];
  const low = values.reduce((a, b) => Math.min(a, b)), high = values.reduce((a, b) => Math.max(a, b));
  if (chart.y_axis.log) return [low / 1.35, high * 1.35];
  const room = 0.07 * (high - low) || Math.abs(high) * 0.02 || 0.1;
  return [low - room, high + room];
}

// Paths

function linePath(one, chart, x, y) {
  let path = "", pen = false;
  one.y.forEach((value, i) => {
    if (value === null || value === undefined) { pen = false; return; }
    const at = y(value).toFixed(1);
    if (one.step) { // the value of an epoch extends half-way to its neighbours
      const here = chart.x[i], before = chart.x[i - 1] ?? here - 1, after = chart.x[i + 1] ?? here;
      path += `${pen ? "V" : `M${x((here + before) / 2).toFixed(1)} `}${at}H${x((here + after) / 2).toFixed(1)}`;
    } else path += `${pen ? "L" : "M"}${x(chart.x[i]).toFixed(1)} ${at}`;
    pen = true;
  });
  return path;
}

function bandPath(one, chart, x, y) {
  const known = one.low.map((low, i) => [x(chart.x[i]), low, one.high[i]]).filter(([, low, high]) => low !== null && high !== null);
  const there = known.map(([at, low]) => `${at.toFixed(1)} ${y(low).toFixed(1)}`);
  const back = known.reverse().map(([at, , high]) => `${at.toFixed(1)} ${y(high).toFixed(1)}`);
  return there.length ? `M${[...there, ...back].join("L")}Z` : "";
}
