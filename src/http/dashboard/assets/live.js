// Puts newer parts of a page in the place of older ones as they come. Everything works without it.
(() => {
  "use strict";

  const outcome = document.getElementById("outcome");
  if (outcome) outcome.focus();

  const followed = document.querySelector("[data-events]");
  if (!followed || !window.EventSource) return;

  // The part that is typed in, or holds the focus, is left alone.
  const isTouched = (part) =>
    part.contains(document.activeElement) ||
    [...part.querySelectorAll("input")].some(
      // A reason stands in a form that was refused, too.
      (input) =>
        input.value !== (input.name === "reason" ? "" : input.defaultValue) ||
        input.checked !== input.defaultChecked,
    );

  const replace = (part, newer) => {
    const focused = part.contains(document.activeElement) ? document.activeElement.id : "";
    part.replaceChildren(...newer.childNodes);
    const again = focused && document.getElementById(focused);
    if (again) again.focus();
  };

  const allForms = () => [...document.querySelectorAll("[data-forms]")];

  const takeForms = (page) => {
    let isOlder = false;
    for (const forms of allForms()) {
      const newer = page.getElementById(forms.id);
      if (!newer || forms.dataset.forms === newer.dataset.forms) continue;
      if (isTouched(forms)) {
        isOlder = true;
        continue;
      }
      replace(forms, newer);
      forms.dataset.forms = newer.dataset.forms;
    }
    const note = document.getElementById("forms-older");
    if (note) note.hidden = !isOlder;
  };

  const take = (text) => {
    const page = new DOMParser().parseFromString(text, "text/html");
    document.title = page.title;
    let isWhole = true;
    for (const newer of page.querySelectorAll("[data-live]")) {
      const part = document.getElementById(newer.id);
      if (!part) isWhole = false;
      else if (part.innerHTML !== newer.innerHTML) replace(part, newer);
    }
    takeForms(page);
    // A part that this page has no place for, as after an upgrade: once nothing is typed, the page is asked for anew. A page that tells
    // what became of a form goes on telling it.
    if (!isWhole && !outcome && !allForms().some(isTouched)) location.reload();
  };

  const tell = (state, text) => {
    document.documentElement.dataset.connection = state;
    const place = document.getElementById("connection");
    if (place) place.textContent = text;
  };

  const events = new EventSource(followed.dataset.events);
  events.addEventListener("page", (event) => {
    take(event.data);
    tell("live", ", live");
  });
  events.addEventListener("over", () => {
    events.close();
    tell("over", ": not live any more. You are signed out, or it is gone. Load the page again.");
  });
  events.addEventListener("error", () => {
    if (events.readyState === EventSource.CLOSED) tell("over", ": not live any more. Load the page again.");
    else tell("lost", ": the connection is lost; trying again.");
  });
})();
