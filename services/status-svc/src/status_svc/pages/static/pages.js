// Keeps a page that is open up to date. Without it the page says the same, as of when it was loaded.
"use strict";
(() => {
  const OLD_S = 300;
  const made = document.getElementById("made");
  const age = document.getElementById("age");
  let madeAt = Date.parse(document.body.dataset.made);

  function showAge() {
    const seconds = Math.max(0, Math.round((Date.now() - madeAt) / 1000));
    const minutes = Math.floor(seconds / 60);
    const words = minutes < 1 ? "less than a minute" : minutes < 120 ? `${minutes} minutes` : `${Math.floor(minutes / 60)} hours`;
    age.textContent = `, ${words} ago`;
    age.classList.toggle("old", seconds > OLD_S);
  }
  showAge();
  setInterval(showAge, 1000);

  function show(state) {
    for (const [id, name, words] of state.components) {
      const place = document.querySelector(`#c${Number(id)} .state`);
      if (!place || !/^[a-z]+$/.test(name)) continue;
      const large = place.classList.contains("large") ? " large" : "";
      place.className = `state ${name}${large}`;
      place.querySelector("use").setAttribute("href", `#${name}`);
      place.querySelector("b").textContent = words;
    }
    const summary = document.getElementById("summary");
    if (summary && /^[a-z]+$/.test(state.summary[0])) {
      summary.className = state.summary[0];
      summary.textContent = state.summary[1];
    }
    madeAt = Date.parse(state.at);
    made.dateTime = state.at;
    made.textContent = state.at.replace("T", " ").replace("Z", " UTC");
    showAge();
  }

  const events = document.body.dataset.events;
  if (events !== undefined) {
    const source = new EventSource(events);
    source.addEventListener("state", (event) => show(JSON.parse(event.data)));
  }
})();
