// Keeps a page that is open up to date. Without it the page says the same, as of when it was loaded.
"use strict";
(() => {
  // A copy is old after this time; a page that is kept up to date hears something every 15 seconds.
  const OLD_S = 300;
  const SILENT_S = 60;
  const LATELY_S = 30;
  // So that not all who look on ask in the same moment.
  const SPREAD_MS = 2000;
  // A page of which no event tells asks again after this time.
  const ALONE_MS = 30000;
  const TRIES = 5;
  const AGAIN_MS = 30000;
  const RELOAD_MS = 600000;
  const events = document.body.dataset.events;
  const made = document.getElementById("made");
  const age = document.getElementById("age");
  const old = document.getElementById("old");
  let madeAt = Date.parse(document.body.dataset.made);
  let heardAt = Date.now();
  let renewing = false;
  let behind = false;
  let wanted = "";

  function inWords(minutes) {
    if (minutes < 1) return "less than a minute";
    const [number, unit] = minutes < 120 ? [minutes, "minute"] : [Math.floor(minutes / 60), "hour"];
    return `${number} ${unit}${number === 1 ? "" : "s"}`;
  }

  // As the server says it.
  function lasting(seconds) {
    const minutes = Math.max(0, Math.floor(seconds / 60 + 0.5));
    if (minutes < 1) return "less than a minute";
    const parts = [[Math.floor(minutes / 1440), "day"], [Math.floor(minutes / 60) % 24, "hour"], [minutes % 60, "minute"]];
    const said = parts.filter(([number]) => number).map(([number, unit]) => `${number} ${unit}${number === 1 ? "" : "s"}`);
    return said.join(" ");
  }

  function showAge() {
    const seconds = Math.max(0, Math.round((Date.now() - madeAt) / 1000));
    const words = inWords(Math.floor(seconds / 60));
    age.textContent = `, ${words} ago`;
    age.classList.toggle("old", seconds > OLD_S);
    // By the clock of this machine alone, which may differ from the server's.
    const isOld = events === undefined ? seconds > OLD_S : Date.now() - heardAt > SILENT_S * 1000;
    const said = isOld ? `This is how it was ${words} ago: nothing newer has come.` : "";
    if (old.textContent !== said) old.textContent = said;
    document.body.classList.toggle("old", isOld);
    for (const one of document.querySelectorAll("[data-since]")) {
      const lasts = lasting((madeAt - Date.parse(one.dataset.since)) / 1000);
      if (one.textContent !== lasts) one.textContent = lasts;
    }
  }
  showAge();
  setInterval(showAge, 1000);

  function show(state) {
    for (const [id, name, words] of state.components) {
      const place = document.querySelector(`#c${Number(id)} .state`);
      if (!place || !/^[a-z]+$/.test(name)) continue;
      const large = place.classList.contains("large") ? " large" : "";
      // The page of the component itself: what else it says of it changes, too.
      if (large && !place.classList.contains(name)) behind = true;
      place.className = `state ${name}${large}`;
      place.querySelector("use").setAttribute("href", `#${name}`);
      place.querySelector("b").textContent = words;
    }
    const summary = document.getElementById("summary");
    if (summary && /^[a-z]+$/.test(state.summary[0])) {
      summary.className = state.summary[0];
      summary.textContent = state.summary[1];
    }
    const told = document.getElementById("told");
    const found = document.getElementById("found");
    const finds = found && found.dataset.states !== state.states;
    if (behind || finds || (told && told.dataset.told !== state.told)) {
      wanted = state.at;
      if (!renewing) setTimeout(renew, Math.random() * SPREAD_MS, TRIES);
      renewing = true;
    }
    heard(state.at);
  }

  function heard(at) {
    heardAt = Date.now();
    madeAt = Date.parse(at);
    made.dateTime = at;
    made.textContent = at.replace("T", " ").replace("Z", " UTC");
    showAge();
  }

  // What the events do not tell, like incidents, is taken from the page as it is now, once that is as new as the event.
  async function renew(tries) {
    let isNew = false;
    try {
      // As a page, so that whoever logs in here is not asked for a password once the session has ended.
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "manual" });
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      isNew = answer.ok && page.body.dataset.made >= wanted;
      if (isNew) replace(page);
      if (isNew && events === undefined) heard(page.body.dataset.made);
    } catch {
      // Tried again.
    }
    renewing = !isNew && tries > 0;
    if (renewing) setTimeout(renew, SPREAD_MS, tries - 1);
  }

  function replace(page) {
    behind = false;
    for (const one of document.querySelectorAll("[data-told]")) {
      const fresh = page.getElementById(one.id);
      // Whoever is in the middle of it is not disturbed: the next event tries again.
      if (one.contains(document.activeElement) || one.querySelector("details[open]")) behind = true;
      else if (fresh) one.replaceWith(fresh);
    }
  }

  // Days and figures are those of when the page was loaded. Whoever is in the middle of it is not disturbed.
  function reload() {
    const content = document.getElementById("content");
    const busy = content.contains(document.activeElement) || !getSelection().isCollapsed;
    if (busy || content.querySelector("details[open]")) return;
    // What is shown is better than nothing.
    if (Date.now() - heardAt < LATELY_S * 1000) location.reload();
  }

  function listen() {
    const source = new EventSource(events);
    source.addEventListener("state", (event) => show(JSON.parse(event.data)));
    // A browser comes back by itself when the connection breaks, but not after an answer that is an error.
    source.addEventListener("error", () => {
      if (source.readyState === EventSource.CLOSED) setTimeout(listen, AGAIN_MS * (1 + Math.random()));
    });
  }

  if (events !== undefined) {
    setInterval(reload, RELOAD_MS + Math.random() * RELOAD_MS / 10);
    listen();
  } else if ("alone" in document.body.dataset) {
    setInterval(renew, ALONE_MS * (1 + Math.random() / 10), 0);
  }
})();
