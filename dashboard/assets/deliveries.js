// The delivery log as it grows, and the countdown to the next attempt.
"use strict";

(() => {
  const parts = [["d", 86400], ["h", 3600], ["min", 60], ["s", 1]];

  // spell writes a duration in its two largest units, as the server does.
  function spell(seconds) {
    const out = [];
    for (const [name, length] of parts) {
      const n = Math.floor(seconds / length);
      if (n > 0 && out.length < 2) { out.push(n + " " + name); seconds -= n * length; }
    }
    return out.join(" ");
  }

  function countDown() {
    for (const el of document.querySelectorAll("time[data-countdown]")) {
      const seconds = Math.ceil((new Date(el.dateTime) - Date.now()) / 1000);
      el.textContent = seconds > 0 ? "in " + spell(seconds) : "is due now";
    }
  }
  setInterval(countDown, 1000);

  function tail(live) {
    const button = document.getElementById("live-button"), state = document.getElementById("live-state");
    const news = document.getElementById("live-news"), body = document.getElementById("log-rows");
    let source = null, paused = false, fresh = 0, changed = 0;

    // place makes the table what the newest page is. A line that is the same stays, with the focus that it may have.
    function place(page) {
      const want = [];
      for (const { id, html } of page.rows) {
        let row = document.getElementById(id);
        if (html) {
          const template = document.createElement("template");
          template.innerHTML = html;
          const next = template.content.firstElementChild;
          if (!row) { fresh++; next.classList.add("fresh"); row = next; }
          else if (row.dataset.version !== next.dataset.version) {
            const focused = row.contains(document.activeElement);
            row.replaceWith(next);
            if (focused) next.querySelector("a[data-row]").focus();
            changed++; next.classList.add("fresh"); row = next;
          }
        }
        if (row) want.push(row);
      }
      for (const row of [...body.children]) if (!want.includes(row)) row.remove();
      want.forEach((row, i) => { if (body.children[i] !== row) body.insertBefore(row, body.children[i] || null); });
      document.getElementById("log").hidden = want.length === 0;
      const empty = document.getElementById("log-empty");
      if (empty) empty.hidden = want.length > 0;
      lead(page.next);
    }

    // lead points to what comes after the lines that are here now.
    function lead(cursor) {
      if (!cursor) return;
      const pager = document.getElementById("log-pager");
      let next = pager.querySelector("a[rel=next]");
      if (!next) {
        next = Object.assign(document.createElement("a"), { rel: "next", className: "button quiet", textContent: "Next page", href: location.href });
        pager.replaceChildren(Object.assign(document.createElement("nav"), { className: "pager", ariaLabel: "Pages of the list" }));
        pager.firstChild.append(next);
      }
      const at = new URL(next.href);
      at.searchParams.set("cursor", cursor);
      next.href = at.href;
    }

    // What changed is said in one sentence every few seconds, not line by line.
    setInterval(() => {
      if (!fresh && !changed) return;
      const said = [];
      if (fresh) said.push(fresh + (fresh === 1 ? " new delivery" : " new deliveries"));
      if (changed) said.push(changed + " changed");
      news.textContent = said.join(", ");
      fresh = changed = 0;
    }, 5000);

    function show(text, on) {
      state.textContent = text;
      live.classList.toggle("on", on);
      button.textContent = paused ? "Go on" : "Pause";
    }

    function stop() {
      if (source) source.close();
      source = null;
    }

    function start() {
      if (source || paused || document.hidden) return;
      show("Connecting", false);
      source = new EventSource(live.dataset.href);
      source.onopen = () => show("Live", true);
      source.addEventListener("page", (e) => place(JSON.parse(e.data)));
      source.addEventListener("busy", () => show("Too many pages are live; trying again", false));
      source.addEventListener("ended", () => { stop(); show("Your session has ended: reload to sign in", false); });
      source.onerror = () => {
        if (source && source.readyState === EventSource.CLOSED) { stop(); show("Not live: reload the page", false); }
        else show("Connecting", false);
      };
    }

    function toggle() {
      paused = !paused;
      if (paused) { stop(); show("Paused", false); } else start();
      news.textContent = paused ? "Paused" : "Live";
    }

    button.addEventListener("click", toggle);
    document.addEventListener("keydown", (e) => {
      if (e.key !== "p" || e.ctrlKey || e.metaKey || e.altKey || e.target.closest("input, textarea, select, dialog")) return;
      toggle();
    });
    // A page that nobody sees needs no connection.
    document.addEventListener("visibilitychange", () => { if (document.hidden) stop(); else start(); });
    window.addEventListener("pagehide", stop);
    window.addEventListener("pageshow", start);
    live.hidden = false;
    start();
  }

  document.addEventListener("DOMContentLoaded", () => {
    countDown();
    const live = document.getElementById("live");
    if (live) tail(live);
  });
})();
