// Small conveniences of every page; each page works without them.
"use strict";

document.addEventListener("submit", (event) => {
  const form = event.target;
  const question = form.dataset.sure;
  if (question && !window.confirm(question)) { event.preventDefault(); return; }
  if (form.method === "post" && !form.dataset.stays) {
    for (const button of form.querySelectorAll("button")) setTimeout(() => { button.disabled = true; }, 0);
  }
});
window.addEventListener("pageshow", () => {
  for (const button of document.querySelectorAll("button[disabled]:not([data-off])")) button.disabled = false;
});
