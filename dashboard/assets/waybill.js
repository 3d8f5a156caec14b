// What pages do beyond plain HTML: exact times in the viewer's zone, countdowns, dialogs, copying, and walking a list by keys.
"use strict";

(() => {
  const units = [["day", 86400], ["hour", 3600], ["minute", 60], ["second", 1]];

  // spell says how far a moment is, in its largest unit, as the server does.
  function spell(seconds) {
    for (const [name, length] of units) {
      const n = Math.floor(seconds / length);
      if (n > 0) return n + " " + name + (n === 1 ? "" : "s");
    }
    return "0 seconds";
  }

  function relative(at) {
    const seconds = (at - Date.now()) / 1000;
    if (Math.abs(seconds) < 5) return "now";
    return seconds > 0 ? "in " + spell(seconds) : spell(-seconds) + " ago";
  }

  const exact = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "long" });

  function showTimes(root) {
    for (const el of root.querySelectorAll("time[datetime]")) {
      const at = new Date(el.dateTime);
      if (isNaN(at)) continue;
      if (!el.dataset.utc) {
        el.dataset.utc = el.title;
        el.title = exact.format(at) + " (" + el.title + ")";
      }
      if (!el.hasAttribute("data-exact")) el.textContent = relative(at.getTime());
    }
  }
  setInterval(() => showTimes(document), 1000);

  // A dialog shows what the page behind a link with data-dialog asks.
  async function openDialog(link) {
    const answer = await fetch(link.href, { headers: { Accept: "text/html" } });
    const page = new DOMParser().parseFromString(await answer.text(), "text/html");
    const form = page.querySelector("#confirm");
    if (!form) { location.href = link.href; return; }
    const dialog = document.getElementById("dialog");
    dialog.replaceChildren(document.adoptNode(form));
    const title = dialog.querySelector("h1");
    if (title) dialog.setAttribute("aria-label", title.textContent); // what a screen reader says first
    dialog.showModal();
  }

  document.addEventListener("click", (e) => {
    const link = e.target.closest("a[data-dialog]");
    if (link && !e.ctrlKey && !e.metaKey && !e.shiftKey && e.button === 0) {
      e.preventDefault();
      openDialog(link).catch(() => { location.href = link.href; });
      return;
    }
    if (e.target.closest("#dialog [data-close]")) {
      e.preventDefault();
      document.getElementById("dialog").close();
      return;
    }
    const copy = e.target.closest("[data-copy]");
    if (copy) {
      const from = document.getElementById(copy.dataset.copy);
      navigator.clipboard.writeText(from.textContent).then(() => {
        const before = copy.textContent;
        copy.textContent = "Copied";
        setTimeout(() => { copy.textContent = before; }, 1500);
      }, () => { copy.textContent = "Select it and copy by hand"; });
    }
  });

  // j and k walk a list, Enter opens, / goes to the search.
  document.addEventListener("keydown", (e) => {
    if (e.ctrlKey || e.metaKey || e.altKey || e.target.closest("input, textarea, select, dialog")) return;
    if (e.key === "/") {
      const search = document.querySelector("input[type=search]");
      if (search) { e.preventDefault(); search.focus(); }
      return;
    }
    if (e.key !== "j" && e.key !== "k") return;
    const rows = [...document.querySelectorAll("table[data-walk] tbody tr a[data-row]")];
    if (rows.length === 0) return;
    const at = rows.indexOf(document.activeElement);
    const next = e.key === "j" ? Math.min(at + 1, rows.length - 1) : Math.max(at - 1, 0);
    rows[next].focus();
    rows[next].scrollIntoView({ block: "nearest" });
  });

  // A form is sent once: the second click of a double click would ask for the same again.
  const resend = 5000;
  document.addEventListener("submit", (e) => {
    const form = e.target;
    if (form.method !== "post" || e.defaultPrevented) return;
    if (form.dataset.sent) { e.preventDefault(); return; }
    form.dataset.sent = "true";
    setTimeout(() => { delete form.dataset.sent; }, resend);
  });
  addEventListener("pageshow", () => {
    for (const form of document.querySelectorAll("form[data-sent]")) delete form.dataset.sent;
  });

  function ready(root) {
    showTimes(root);
    document.dispatchEvent(new CustomEvent("waybill:show", { detail: root }));
  }

  document.addEventListener("htmx:load", (e) => ready(e.detail.elt));
  document.addEventListener("DOMContentLoaded", () => {
    ready(document);
    // The link to a portal is opened by the page itself. A form of a program that only looks at links is never sent.
    const form = document.querySelector("form[data-submit]");
    if (form) form.requestSubmit();
  });
})();
