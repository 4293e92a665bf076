"use strict";
// Steps of the picture, and what hovering over a cell tells. `data` holds the taps as (output, input, kernel).
const data = JSON.parse(document.getElementById("data").textContent);
const svg = document.querySelector("svg.trous");
const frames = [...svg.querySelectorAll(".frame")];
const slider = document.getElementById("step");
const button = document.getElementById("play");
const words = document.getElementById("words");
const sides = { output: 0, input: 1, kernel: 2 };
let step = data.still;
let timer = 0;

function show(next) {
  frames[step].classList.remove("still");
  step = (next + frames.length) % frames.length;
  frames[step].classList.add("still");
  if (!slider) return;
  slider.value = step;
  document.getElementById("count").textContent = `${step + 1} of ${frames.length}`;
}

function play(wanted) {
  clearInterval(timer);
  timer = wanted ? setInterval(() => show(step + 1), data.milliseconds) : 0;
  button.textContent = wanted ? "Pause" : "Play";
}

function place(side, flat) {
  const index = [];
  for (const n of [...data.sizes[side]].reverse()) {
    index.unshift(flat % n);
    flat = Math.floor(flat / n);
  }
  return index.length > 1 ? `(${index.join(", ")})` : `${index[0]}`;
}

function name(side, flat) {
  return side === "kernel" ? `w${flat}` : `${side} ${place(side, flat)}`;
}

function sentence(side, flat, found) {
  const other = side === "output" ? "input" : "output";
  const verb = { output: "reads", input: "reaches", kernel: "joins" }[side];
  const parts = found.slice(0, 16).map((tap) => {
    if (side === "kernel") return `${name("input", tap[1])} to ${name("output", tap[0])}`;
    return place(other, tap[sides[other]]) + (data.sizes.kernel.length ? ` through w${tap[2]}` : "");
  });
  if (found.length > 16) parts.push(`and ${found.length - 16} more`);
  const noun = side === "kernel" || !found.length ? "" : found.length > 1 ? `${other}s ` : `${other} `;
  return `${name(side, flat)} ${verb} ${noun}${parts.join(", ") || "nothing"}`;
}

function dark() {
  svg.classList.remove("lights");
  for (const cell of svg.querySelectorAll(".lit")) cell.classList.remove("lit");
}

function light(side, flat) {
  dark();
  const found = data.taps.filter((tap) => tap[sides[side]] === flat);
  words.textContent = sentence(side, flat, found);
  if (button) play(false);
  if (side === "output") return show(flat); // its step shows what it reads
  const cells = new Set([`${side} ${flat}`]);
  for (const tap of found) for (const other in sides) cells.add(`${other} ${tap[sides[other]]}`);
  svg.classList.add("lights");
  for (const cell of svg.querySelectorAll(".input, .output, .kernel")) {
    const own = keyOf(cell);
    if (own && cells.has(own.join(" ")) && (own[0] !== side || own[1] === flat)) cell.classList.add("lit");
  }
}

function keyOf(cell) {
  for (const side in sides) if (side in cell.dataset) return [side, Number(cell.dataset[side])];
  return null;
}

if (data.taps) {
  svg.addEventListener("pointerover", (event) => {
    const own = keyOf(event.target);
    if (own) light(...own);
    else dark();
  });
  svg.addEventListener("pointerleave", dark);
}
if (slider) {
  slider.addEventListener("input", () => { dark(); play(false); show(Number(slider.value)); });
  button.addEventListener("click", () => { dark(); play(!timer); });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.target === slider) return;
    const moves = { ArrowLeft: step - 1, ArrowRight: step + 1, Home: 0, End: frames.length - 1 };
    if (event.key in moves) { dark(); play(false); show(moves[event.key]); }
    else if (event.key === " " && event.target !== button) { dark(); play(!timer); }
    else return;
    event.preventDefault();
  });
  show(step);
  play(!matchMedia("(prefers-reduced-motion: reduce)").matches);
}
