// The explorer: a slider over the policies of the report's curve. All numbers are in the page; nothing is fetched.
"use strict";
(() => {
  const data = document.getElementById("explorer-data");
  if (!data) return;
  const { path, exits } = JSON.parse(data.textContent);
  const slider = document.getElementById("explorer-slider");
  const field = (name) => document.querySelector(`[data-field="${name}"]`);
  const percent = (value) => `${(100 * value).toFixed(2)} %`;
  const points = (value) => `${value < 0 ? "-" : "+"}${Math.abs(100 * value).toFixed(2)}`;

  // A ring in a frontier plot, at the policy that is looked at.
  const marks = {};
  for (const split of ["tune", "test"]) {
    const svg = document.getElementById(`frontier-${split}`);
    if (!svg) continue;
    const ring = document.createElementNS("http://www.w3.org/2000/svg", "circle");
    ring.setAttribute("class", "mark");
    ring.setAttribute("r", "7");
    svg.append(ring);
    marks[split] = { ring, frame: svg.dataset.frame.split(" ").map(Number), box: svg.viewBox.baseVal };
  }
  const move = (split, speedUp, error) => {
    if (!marks[split]) return;
    const { ring, frame: [left, right, bottom, top, x0, x1, y0, y1], box } = marks[split];
    const x = left + ((speedUp - x0) / (x1 - x0)) * (right - left);
    const y = bottom + ((100 * error - y0) / (y1 - y0)) * (top - bottom);
    ring.setAttribute("cx", x * box.width);
    ring.setAttribute("cy", (1 - y) * box.height);
    ring.style.visibility = x < left || x > right || y < bottom || y > top ? "hidden" : "visible";
  };

  const bars = exits.map((_, exit) => ({
    bar: document.querySelector(`[data-bar="${exit}"]`), share: field(`share.${exit}`), threshold: field(`threshold.${exit}`),
  }));
  const show = () => {
    const policy = Number(slider.value);
    const shift = path.shifts[policy] ?? null;
    for (const split of ["tune", "test"]) {
      const counts = path[split];
      const error = counts.errors[policy] / counts.samples;
      field(`${split}.error`).textContent = percent(error);
      field(`${split}.gap`).textContent = points((counts.harmfulFlips[policy] - counts.helpfulFlips[policy]) / counts.samples);
      field(`${split}.harmful`).textContent = counts.harmfulFlips[policy];
      field(`${split}.helpful`).textContent = counts.helpfulFlips[policy];
      field(`${split}.speed-up`).textContent = `${counts.speedUps[policy].toFixed(2)}x`;
      move(split, counts.speedUps[policy], error);
    }
    bars.forEach(({ bar, share, threshold }, exit) => {
      const part = path.test.released[policy][exit] / path.test.samples;
      bar.style.width = `${100 * part}%`;
      share.textContent = percent(part);
      const base = path.base[exit] ?? null;
      threshold.textContent = exit === exits.length - 1 ? "all leave" :
        shift === null || base === null ? "never" : `from ${(base + shift).toFixed(3)}`;
    });
    field("note").textContent = policy === path.chosen ? "This is the certified policy." :
      "Exploration, not a certificate: nothing was certified for this policy.";
  };
  slider.addEventListener("input", show);
  document.getElementById("explorer-reset")?.addEventListener("click", () => {
    slider.value = path.chosen;
    show();
  });
  show();
})();
