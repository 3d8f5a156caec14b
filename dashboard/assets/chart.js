// Draws the attempts of a window: what was delivered, and what failed on top of it. The table below the chart has the same numbers.
"use strict";

(() => {
  const token = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  // resolve turns a color of the stylesheet into one that a canvas understands in the present scheme.
  function resolve(name) {
    const probe = document.createElement("span");
    probe.style.color = token(name);
    document.body.append(probe);
    const color = getComputedStyle(probe).color;
    probe.remove();
    return color;
  }

  function draw(el) {
    const spans = JSON.parse(el.dataset.chart);
    const at = spans.map((s) => Date.parse(s.at) / 1000);
    const all = spans.map((s) => s.delivered + s.failed);
    const delivered = spans.map((s) => s.delivered);
    const bars = uPlot.paths.bars({ size: [0.8, 60], align: 1 });
    const soft = resolve("--soft"), line = resolve("--line"), ok = resolve("--ok"), bad = resolve("--bad");
    const axis = { stroke: soft, grid: { stroke: line, width: 1 }, ticks: { stroke: line, width: 1 } };
    const plot = new uPlot({
      width: el.clientWidth, height: 190,
      legend: { show: false }, cursor: { show: false },
      scales: { x: { range: () => [at[0], at[at.length - 1] + (at[1] - at[0])] }, y: { range: (u, min, max) => [0, Math.max(max, 1)] } },
      axes: [axis, { ...axis, size: 48, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6] }],
      series: [{}, { label: "Failed", fill: bad, stroke: bad, width: 0, paths: bars, points: { show: false } },
        { label: "Delivered", fill: ok, stroke: ok, width: 0, paths: bars, points: { show: false } }],
    }, [at, all, delivered], el);
    return () => plot.setSize({ width: el.clientWidth, height: 190 });
  }

  let resizers = [];
  function drawAll() {
    resizers = [];
    for (const el of document.querySelectorAll("[data-chart]")) {
      el.replaceChildren();
      resizers.push(draw(el));
    }
  }
  document.addEventListener("DOMContentLoaded", drawAll);
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  addEventListener("resize", () => resizers.forEach((resize) => resize()));
})();
