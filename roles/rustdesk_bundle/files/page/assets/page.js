// What the page can do beyond what HTML does: copy buttons, the planner, print, and a checklist that remembers.
// Without it nothing is missing but these; they are hidden until it runs.
"use strict";

const byId = (id) => document.getElementById(id);
const language = document.documentElement.lang;

// --- Copy buttons ----------------------------------------------------------------------------------------------------

const select = (element) => {
  const range = document.createRange();
  range.selectNodeContents(element);
  const selection = window.getSelection();
  selection.removeAllRanges();
  selection.addRange(range);
};

const announce = (button, words) => {
  const before = button.dataset.label || button.textContent;
  button.dataset.label = before;
  button.textContent = words;
  button.classList.add("done");
  byId("announcement").textContent = words;
  window.setTimeout(() => {
    button.textContent = before;
    button.classList.remove("done");
    byId("announcement").textContent = "";
  }, 2500);
};

// The clipboard needs a secure page and permission. Where either is missing, the text is marked for the user to copy.
const copy = async (button) => {
  const source = byId(button.dataset.copy);
  try {
    await navigator.clipboard.writeText(source.textContent);
    announce(button, button.dataset.copied);
  } catch {
    select(source);
    announce(button, button.dataset.selected);
  }
};

for (const button of document.querySelectorAll("button[data-copy]")) {
  button.hidden = false;
  button.addEventListener("click", () => copy(button));
}

// --- Planner ---------------------------------------------------------------------------------------------------------

// Whole kB/s throughout, as the filter rustdesk_bandwidth_plan reckons; both are tested with the same examples.
const plan = (sessions, kilobytes) => {
  const base = sessions * kilobytes;
  return { base, low: Math.ceil((base * 120) / 100), high: Math.ceil((base * 130) / 100) };
};
const number = (value, digits) => value.toLocaleString(language, { maximumFractionDigits: digits, useGrouping: false });
const megabytes = (kilobytes) => number(kilobytes / 1000, 3);
const megabits = (kilobytes) => number(Math.ceil((kilobytes * 8) / 100) / 10, 1);

const planner = byId("planner");
const sessions = byId("planner-sessions");
const screen_ = byId("planner-screen");

const reckon = () => {
  const fault = byId("planner-fault");
  const valid = sessions.checkValidity() && sessions.value !== "";
  fault.textContent = valid ? "" : fault.dataset.fault;
  sessions.setAttribute("aria-invalid", String(!valid));
  const { base, low, high } = plan(Number(sessions.value), Number(screen_.value));
  byId("planner-need").textContent = valid ? `${megabytes(base)} MB/s = ${megabits(base)} Mbit/s` : "–";
  byId("planner-reserve").textContent = valid
    ? `${megabytes(low)}–${megabytes(high)} MB/s = ${megabits(low)}–${megabits(high)} Mbit/s`
    : "–";
};

planner.hidden = false;
planner.addEventListener("input", reckon);
reckon();

// --- Print -----------------------------------------------------------------------------------------------------------

byId("print").hidden = false;
byId("print").addEventListener("click", () => window.print());

// --- Checklist -------------------------------------------------------------------------------------------------------

// Kept in this browser, if it keeps anything.
const storage = (() => {
  try {
    return window.localStorage;
  } catch {
    return null;
  }
})();

for (const box of document.querySelectorAll(".checklist input")) {
  box.checked = storage?.getItem(box.id) === "done";
  box.addEventListener("change", () => {
    if (box.checked) {
      storage?.setItem(box.id, "done");
    } else {
      storage?.removeItem(box.id);
    }
  });
}

// --- Language --------------------------------------------------------------------------------------------------------

// The other language opens where this one was left.
for (const link of document.querySelectorAll(".languages a")) {
  link.addEventListener("click", () => {
    link.hash = window.location.hash;
  });
}
