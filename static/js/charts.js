/* Charts: an element with data-chart='{"kind": "line"|"bar", "stacked": bool, "lying": bool, "labels": […], "series":
   [{"name": …, "values": […], "rest": bool}], "unit": "…", "format": "number"|"percent"|"money"|"decimal"}' is drawn
   on its canvas in the theme's colours. Chart.js is fetched by the first page that has one. */
(() => {
  "use strict";
  const script = document.currentScript;
  const NARROW = 600; // pixels
  const charts = new Map(); // container → chart
  let library = null;

  const load = () => {
    library ??= new Promise((resolve, reject) => {
      const tag = document.createElement("script");
      tag.src = script.dataset.library;
      tag.onload = resolve;
      tag.onerror = reject;
      document.head.append(tag);
    });
    return library;
  };

  const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

  const formatter = ({ format, unit, currency }) => {
    const options = {
      percent: { style: "percent", maximumFractionDigits: 1 },
      money: { style: "currency", currency: currency || "USD" },
      decimal: { maximumFractionDigits: 4 },
    }[format] || { maximumFractionDigits: 2 };
    const numbers = new Intl.NumberFormat("en", options);
    return (value) => numbers.format(value) + (unit ? ` ${unit}` : "");
  };

  const dataset = (spec, series, index) => {
    const ink = colour(series.rest ? "--chart-rest" : `--chart-${(index % 5) + 1}`);
    return {
      label: series.name,
      data: series.values,
      borderColor: ink,
      backgroundColor: spec.kind === "line" ? `${ink}1a` : ink,
      pointBackgroundColor: ink,
      borderWidth: spec.kind === "line" ? 2 : 0,
      // Lines are told apart without colour, too.
      borderDash: index % 2 ? [5, 4] : [],
      pointRadius: series.values.length > 40 ? 0 : 2,
      pointHoverRadius: 4,
      fill: spec.kind === "line" && spec.series.length === 1,
      cubicInterpolationMode: "monotone",
      spanGaps: true,
      borderRadius: 3,
      maxBarThickness: 28,
    };
  };

  const shortened = (name, longest) => (name.length > longest ? `${name.slice(0, longest - 1)}…` : name);

  const scales = (spec, show) => {
    const ticks = { color: colour("--chart-text"), maxRotation: 0, autoSkipPadding: 16 };
    const axis = { stacked: Boolean(spec.stacked), border: { display: false } };
    const names = { ...axis, ticks, grid: { display: false } };
    const values = {
      ...axis,
      beginAtZero: spec.zero !== false,
      grid: { color: colour("--chart-grid") },
      ticks: { ...ticks, callback: show, maxTicksLimit: 6, precision: spec.format ? undefined : 0 },
    };
    if (!spec.lying) return { x: names, y: values };
    const named = {
      ...ticks,
      autoSkip: false,
      callback(index) {
        return shortened(spec.labels[index], this.chart.width < NARROW ? 18 : 48);
      },
    };
    return { x: { ...values, ticks: { ...values.ticks, maxTicksLimit: 4 } }, y: { ...names, ticks: named } };
  };

  const configuration = (spec) => {
    const show = formatter(spec);
    const text = colour("--chart-text");
    return {
      type: spec.kind,
      data: { labels: spec.labels, datasets: spec.series.map((series, index) => dataset(spec, series, index)) },
      options: {
        animation: false,
        responsive: true,
        maintainAspectRatio: false,
        indexAxis: spec.lying ? "y" : "x",
        interaction: { mode: "index", intersect: false, axis: spec.lying ? "y" : "x" },
        scales: scales(spec, show),
        plugins: {
          legend: {
            display: spec.series.length > 1,
            align: "start",
            labels: { color: text, boxWidth: 10, boxHeight: 10, useBorderRadius: true, borderRadius: 2 },
          },
          tooltip: { callbacks: { label: (item) => ` ${item.dataset.label}: ${show(spec.lying ? item.parsed.x : item.parsed.y)}` } },
        },
      },
    };
  };

  const draw = (container) => {
    charts.get(container)?.destroy();
    window.Chart.defaults.font.family = "'Inter Variable', sans-serif";
    charts.set(container, new window.Chart(container.querySelector("canvas"), configuration(JSON.parse(container.dataset.chart))));
  };

  // New figures for a chart that is there: it changes in place, and whoever points at it keeps the tooltip.
  const refresh = (container) => {
    const chart = charts.get(container);
    if (!chart) return;
    const { data, options } = configuration(JSON.parse(container.dataset.chart));
    Object.assign(chart, { data, options });
    chart.update("none");
  };

  const update = async () => {
    for (const [container, chart] of charts) {
      if (!container.isConnected) {
        chart.destroy();
        charts.delete(container);
      }
    }
    const waiting = [...document.querySelectorAll("[data-chart]")].filter((container) => !charts.has(container));
    if (!waiting.length) return;
    await load();
    waiting.filter((container) => !charts.has(container)).forEach(draw);
  };

  document.addEventListener("DOMContentLoaded", () => {
    update();
    // Whoever changes the page (htmx, an upload's answer), its charts are drawn.
    new MutationObserver((changes) => {
      changes.filter(({ type }) => type === "attributes").forEach(({ target }) => refresh(target));
      update();
    }).observe(document.body, { childList: true, subtree: true, attributeFilter: ["data-chart"] });
  });
  document.addEventListener("themechange", () => [...charts.keys()].forEach(draw));
})();
