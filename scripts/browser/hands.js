// What a person finds on a page, by what it says. The value is a function of (kind, name).
(kind, name) => {
  const text = (el) => (el.getAttribute("aria-label") || el.innerText || "").replace(/\s+/g, " ").trim();
  const shown = (el) => el.checkVisibility({ visibilityProperty: true }) && el.getClientRects().length > 0;
  const within = document.querySelector("dialog[open]") || document;
  const all = (selector) => [...within.querySelectorAll(selector)].filter(shown);
  const one = (list, same) => list.find((el) => same(text(el)));
  const exact = (said) => said === name, begins = (said) => said.startsWith(name);

  // A field has a label, around it or beside it; what the label says begins with the name.
  function field() {
    const labels = [...within.querySelectorAll("label")].filter(shown);
    const first = (l) => (l.querySelector(":scope > span")?.firstChild?.textContent || text(l)).trim();
    const label = labels.find((l) => first(l) === name) || labels.find((l) => text(l) === name) || labels.find((l) => text(l).startsWith(name));
    return label ? label.control : all("[aria-label]").find((el) => el.ariaLabel === name);
  }
  const pressable = () => all("button, a[href], summary, input[type=submit]");
  switch (kind) {
    case "press": return one(pressable(), exact) || one(pressable(), begins);
    case "has": return one(pressable(), exact);
    case "field": return field();
    case "css": return all(name)[0];
  }
}
