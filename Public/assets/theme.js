// Sets light or dark before the first paint; a classic script so that nothing flashes.
(() => {
  const dark = matchMedia("(prefers-color-scheme: dark)");
  /** @returns {"auto" | "light" | "dark"} */
  const wanted = () => {
    try { return /** @type {any} */ (localStorage.getItem("lectern.theme")) ?? "auto"; } catch { return "auto"; }
  };
  const apply = () => {
    const choice = wanted();
    const theme = choice === "auto" ? (dark.matches ? "dark" : "light") : choice;
    if (document.documentElement.dataset.theme === theme) return;
    document.documentElement.dataset.theme = theme;
    dispatchEvent(new CustomEvent("lectern-theme", { detail: theme }));
  };
  apply();
  dark.addEventListener("change", apply);
  addEventListener("storage", event => { if (event.key === "lectern.theme") apply(); });
  addEventListener("lectern-theme-choice", apply);
})();
