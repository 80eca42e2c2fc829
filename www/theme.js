// Light or dark: the system's choice, until the reader makes one. Loaded first, so that nothing flashes.

const KEY = "stoq-theme";
const system = matchMedia("(prefers-color-scheme: dark)");

/** The reader's choice, if there is one. Storage may be refused; then a choice lasts as long as the page. */
let chosen = read();
apply();
system.addEventListener("change", apply);

/** @param {HTMLButtonElement} button pressed: dark */
export function themeButton(button) {
  const show = () => button.setAttribute("aria-pressed", String(isDark()));
  button.addEventListener("click", () => {
    const wanted = isDark() ? "light" : "dark";
    chosen = wanted === (system.matches ? "dark" : "light") ? undefined : wanted;
    store();
    apply();
    show();
  });
  system.addEventListener("change", show);
  show();
}

function isDark() {
  return chosen ? chosen === "dark" : system.matches;
}

function apply() {
  if (chosen) document.documentElement.dataset.theme = chosen;
  else delete document.documentElement.dataset.theme;
}

/** @returns {"light" | "dark" | undefined} */
function read() {
  try {
    const value = localStorage.getItem(KEY);
    return value === "light" || value === "dark" ? value : undefined;
  } catch {
    return undefined;
  }
}

function store() {
  try {
    if (chosen) localStorage.setItem(KEY, chosen);
    else localStorage.removeItem(KEY);
  } catch {
    // Nothing depends on it.
  }
}
